// Package lint holds the rules of this repository that no linter knows, as tests: the layers and who may import whom, one
// package comment per package, goroutine-leak checks where goroutines start, no sleeping in tests, no addresses or paths
// of one machine in tracked files, and the list of modules that the binary links.
//
//	go test ./internal/lint          # check
//	go test ./internal/lint -update  # accept a changed list of modules
package lint
