package aliyun

import (
	"fmt"
	"strconv"
)

// maxPages bounds a list whose end never comes.
const maxPages = 1000

// pages calls one with the token of the next page until there is none.
func pages(one func(token string) (string, error)) error {
	token, seen := "", map[string]bool{}
	for range maxPages {
		next, err := one(token)
		if err != nil || next == "" {
			return err
		}
		if seen[next] {
			return fmt.Errorf("the list repeats its page %q", next)
		}
		token, seen[next] = next, true
	}
	return fmt.Errorf("the list has more than %d pages", maxPages)
}

// numbered asks for pages until all entries that are announced were found. A
// page without anything new is the last.
func numbered(size int, page func(page, size string) (found, total int, err error)) error {
	before := -1
	for n := 1; n <= maxPages; n++ {
		found, total, err := page(strconv.Itoa(n), strconv.Itoa(size))
		switch {
		case err != nil:
			return err
		case found >= total:
			return nil
		case found == max(before, 0):
			return fmt.Errorf("the pages hold %d of %d entries", found, total)
		}
		before = found
	}
	return fmt.Errorf("more than %d pages", maxPages)
}
