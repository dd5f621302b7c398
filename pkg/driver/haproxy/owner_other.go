//go:build !unix

package haproxy

func ownerHint(string) string { return "" }
