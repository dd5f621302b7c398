package ui

// tone is what a text is about; colour shows it again, for the eye.
type tone int

const (
	toneNone tone = iota
	toneGood
	toneBad
	toneWarn
	toneDim
	toneBold
)

// paint colours s, with escape sequences that every terminal knows (ECMA-48
// section 8.3.117), or not at all.
func (o Options) paint(t tone, s string) string {
	if !o.Color || s == "" {
		return s
	}
	code := ""
	switch t {
	case toneNone:
		return s
	case toneGood:
		code = "32"
	case toneBad:
		code = "1;31"
	case toneWarn:
		code = "33"
	case toneDim:
		code = "2"
	case toneBold:
		code = "1"
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
