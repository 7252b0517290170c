module github.com/tandem-serve/tandem/sdk/go

go 1.24.0
