//go:build !race

package sandbox_test

// raceEnabled says that the race detector runs, which takes memory of its own.
const raceEnabled = false
