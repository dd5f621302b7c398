//go:build !unix

package haproxy

func ownerHint(string) string { return "run flip as a user who may use the socket" }
