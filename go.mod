module github.com/flip-cli/flip

go 1.26
