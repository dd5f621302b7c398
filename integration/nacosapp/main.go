// Command nacosapp is what the tests of the Nacos plans run as processes:
// consumers of a service, and the deploy command of the plans. It is a program
// of its own because the vendor's client leaves goroutines and a port behind.
//
//	nacosapp consume CONFIG    consumers, until stdin ends; see consume
//	nacosapp deploy SOCKET VERSION ADDRESS    hands an order to the test
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "consume":
		return consume(args[1], os.Stdin, os.Stdout)
	case len(args) > 2 && args[0] == "deploy":
		return deploy(args[1], args[2:])
	}
	return errors.New("usage: nacosapp consume CONFIG | deploy SOCKET VERSION ADDRESS")
}

// deploy returns when the order was carried out.
func deploy(socket string, order []string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, strings.Join(order, " ")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "ok" {
		return fmt.Errorf("deploy %s: %s", strings.Join(order, " "), answer)
	}
	return nil
}
