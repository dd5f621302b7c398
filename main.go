// Command flip releases software and migrates traffic with no lost request.
package main

import (
	"os"

	"github.com/flip-cli/flip/cmd"
)

func main() { os.Exit(cmd.Main()) }
