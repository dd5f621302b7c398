package ui

import (
	"cmp"
	"strings"
)

// gap is between two columns.
const gap = 2

// minFlex is the narrowest that a column is wrapped to, unless the table says
// otherwise.
const minFlex = 20

// noFlex is the flexible column of a table that has none.
const noFlex = -1

type cell struct {
	text string
	tone tone
}

type row struct {
	cells []cell
	below []string // lines of their own below the row
}

// table is aligned columns. Only the column flex gives way when the lines are
// longer than width.
type table struct {
	head   []string
	rows   []row
	indent int
	width  int // 0: no limit
	flex   int
	min    int // narrowest width of the column flex; 0: minFlex
	below  int // indent of the rows' lines below; 0: below the second column
}

func (t *table) add(cells ...string) *row {
	r := row{}
	for _, c := range cells {
		r.cells = append(r.cells, cell{text: c})
	}
	t.rows = append(t.rows, r)
	return &t.rows[len(t.rows)-1]
}

// widths are the columns' widths after wrapping; fits is false when the flex
// column would be narrower than is readable.
func (t *table) widths() (w []int, fits bool) {
	w = make([]int, len(t.head))
	for i, h := range t.head {
		w[i] = width(h)
	}
	for _, r := range t.rows {
		for i, c := range r.cells {
			if i < len(w) {
				w[i] = max(w[i], width(c.text))
			}
		}
	}
	total := t.indent + gap*(len(w)-1)
	for _, n := range w {
		total += n
	}
	if t.width == 0 || total <= t.width || len(w) == 0 || t.flex == noFlex {
		return w, true
	}
	w[t.flex] -= total - t.width
	least := cmp.Or(t.min, minFlex)
	fits = w[t.flex] >= least
	w[t.flex] = max(w[t.flex], least)
	return w, fits
}

func (t *table) lines(o Options) []string {
	w, _ := t.widths()
	var out []string
	if strings.Join(t.head, "") != "" {
		head := row{}
		for _, h := range t.head {
			head.cells = append(head.cells, cell{h, toneDim})
		}
		out = t.row(o, head, w)
	}
	at := t.below
	if at == 0 && len(w) > 0 {
		at = t.indent + w[0] + gap
	}
	for _, r := range t.rows {
		out = append(out, t.row(o, r, w)...)
		for _, b := range r.below {
			limit := 0
			if t.width > 0 {
				limit = max(minFlex, t.width-at)
			}
			for _, l := range hang(b, limit, 2) {
				out = append(out, strings.Repeat(" ", at)+l)
			}
		}
	}
	return out
}

func (t *table) row(o Options, r row, w []int) []string {
	wrapped := make([][]string, len(r.cells))
	height := 1
	for i, c := range r.cells {
		wrapped[i] = []string{c.text}
		if i == t.flex && i < len(w) {
			wrapped[i] = wrap(c.text, w[i])
		}
		height = max(height, len(wrapped[i]))
	}
	var out []string
	for n := range height {
		line, space := "", t.indent
		for i, c := range r.cells {
			text := ""
			if n < len(wrapped[i]) {
				text = wrapped[i][n]
			}
			if text != "" {
				line += strings.Repeat(" ", space) + o.paint(c.tone, text)
				space = 0
			}
			if i < len(w) {
				space += w[i] - width(text) + gap
			}
			space = max(space, 0)
		}
		out = append(out, line)
	}
	return out
}
