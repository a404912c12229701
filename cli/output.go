package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"directormesh/cli/api"
)

// The layout of tables is doveadm's: column widths come from the titles and the first rows, surplus
// space goes to one column, and cells are never cut.
const (
	layoutRows   = 100 // rows that decide the widths
	plainWidth   = 80  // of an output that is no terminal
	minTermWidth = 30
)

// column is a column of a table.
type column struct {
	title   string
	expands bool // gets half of the space that is left
}

// table prints rows in columns. Rows beyond the first hundred are printed as they come, so a table
// may be long.
type table struct {
	out     *bufio.Writer
	columns []column
	screen  int
	fits    int // the screen, before a table that grows has widened it
	// has more columns than doveadm knows: they keep their line, or go below on a terminal that is
	// too narrow
	grows   bool
	folds   bool       // into blocks that fit on the screen, if it grows
	key     int        // the column that each block but the first begins with
	pending [][]string // until the layout is fixed
	widths  []int      // nil until then
}

func newTable(w io.Writer, columns ...column) *table {
	return &table{
		out: bufio.NewWriter(w), columns: columns, screen: screenWidth(w), folds: isTerminal(w),
	}
}

// row adds a row; it must have a cell for each column.
func (t *table) row(cells ...string) error {
	for i := range cells {
		cells[i] = api.Visible(cells[i])
	}
	if t.widths != nil {
		return t.print(cells)
	}
	t.pending = append(t.pending, cells)
	if len(t.pending) < layoutRows {
		return nil
	}
	return t.begin()
}

// end prints what is left.
func (t *table) end() error {
	if t.widths == nil {
		if err := t.begin(); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

// begin fixes the layout and prints the titles and the pending rows.
func (t *table) begin() error {
	t.layOut()
	if t.grows && t.folds {
		if blocks := t.blocks(); len(blocks) > 1 {
			return t.fold(blocks)
		}
	}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	if err := t.print(titles); err != nil {
		return err
	}
	for _, cells := range t.pending {
		if err := t.print(cells); err != nil {
			return err
		}
	}
	t.pending = nil
	return nil
}

// blocks returns which columns can stand beside each other on the screen; the second block and all
// others begin with the key, by which rows are known again.
func (t *table) blocks() [][]int {
	blocks := [][]int{{0}}
	width := t.needs(0)
	for i := 1; i < len(t.columns); i++ {
		if width+1+t.needs(i) > t.fits {
			blocks = append(blocks, nil)
			width = -1
			if i != t.key {
				blocks[len(blocks)-1] = []int{t.key}
				width = t.needs(t.key)
			}
		}
		last := len(blocks) - 1
		blocks[last] = append(blocks[last], i)
		width += 1 + t.needs(i)
	}
	return blocks
}

// needs is the width of a column that has no space to spare.
func (t *table) needs(column int) int {
	width := utf8.RuneCountInString(t.columns[column].title)
	for _, cells := range t.pending {
		width = max(width, utf8.RuneCountInString(cells[column]))
	}
	return width
}

// fold prints the blocks below each other. Such tables are short, so later rows, of which there are
// none, would stand alone.
func (t *table) fold(blocks [][]int) error {
	for n, columns := range blocks {
		if n > 0 {
			t.out.WriteByte('\n')
		}
		block := &table{out: t.out, screen: t.fits}
		for _, i := range columns {
			block.columns = append(block.columns, t.columns[i])
		}
		for _, cells := range t.pending {
			var part []string
			for _, i := range columns {
				part = append(part, cells[i])
			}
			block.pending = append(block.pending, part)
		}
		if err := block.begin(); err != nil {
			return err
		}
	}
	t.pending = nil
	return nil
}

// layOut decides the widths. The steps are exactly doveadm's, down to a total that is not updated
// while columns shrink.
func (t *table) layOut() {
	n := len(t.columns)
	t.widths = make([]int, n)
	least := make([]int, n)
	total := n - 1
	for i, c := range t.columns {
		t.widths[i] = utf8.RuneCountInString(c.title)
		least[i] = t.widths[i]
		for _, cells := range t.pending {
			w := utf8.RuneCountInString(cells[i])
			t.widths[i] = max(t.widths[i], w)
			least[i] = min(least[i], w)
		}
		total += t.widths[i]
	}
	t.fits = t.screen
	if t.grows {
		t.screen = max(t.screen, total)
	}
	if total > t.screen {
		for i := n - 1; i >= 0; i-- {
			spare := t.widths[i] - least[i]
			if total-spare <= t.screen {
				t.widths[i] -= total - t.screen
				break
			}
			if spare > 0 {
				t.widths[i] -= max(spare/2, 1)
			}
		}
		return
	}
	widest := n - 1
	for i, c := range t.columns {
		if c.expands {
			widest = i
		}
	}
	t.widths[widest] += (t.screen - total) / 2
}

func (t *table) print(cells []string) error {
	for i, cell := range cells {
		if i > 0 {
			t.out.WriteByte(' ')
		}
		t.out.WriteString(cell)
		for pad := t.widths[i] - utf8.RuneCountInString(cell); pad > 0; pad-- {
			t.out.WriteByte(' ')
		}
	}
	return t.out.WriteByte('\n') // a bufio.Writer keeps its first error
}

// screenWidth is the width to lay a table out for.
func screenWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return max(width, minTermWidth)
		}
	}
	return plainWidth
}

// isTerminal reports whether people watch w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// date prints a time as doveadm does, in the local zone; a time that is absent as none.
func (inv *invocation) date(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.In(inv.Location).Format(time.DateTime)
}

// printJSON prints one JSON value.
func (inv *invocation) printJSON(value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = inv.Stdout.Write(append(api.VisibleJSON(raw), '\n'))
	return err
}

// orDash prints an absent cell as doveadm does.
func orDash(cell string) string {
	if strings.TrimSpace(cell) == "" {
		return "-"
	}
	return cell
}
