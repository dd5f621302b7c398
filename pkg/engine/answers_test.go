package engine

import "testing"

func TestAnApprovalIsNamedByItsStepOrItsKeyAlsoWhenItIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		named, key string
		want       bool
	}{
		{"go", "/steps/go.answer", true},
		{"go", "/steps/go#2.answer", true},
		{"go#2", "/steps/go#2.answer", true},
		{"/steps/go.answer", "/steps/go.answer", true},
		{"each[a]/go", "/steps/each[a]/go#3.answer", true},
		{"go", "/steps/cargo.answer", false},
		{"stop", "/steps/go.answer", false},
		{"go", "/steps/go/inner.answer", false},
	} {
		if got := answers(test.named, test.key); got != test.want {
			t.Errorf("%s for %s: %v, want %v", test.named, test.key, got, test.want)
		}
	}
}
