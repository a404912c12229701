package cli

import (
	"fmt"
	"strings"
	"testing"
)

// The layout of doveadm's tables, step by step.
func TestTableLayout(t *testing.T) {
	tests := []struct {
		name    string
		columns []column
		rows    [][]string
		want    string
	}{
		{"half of the surplus to the last column", []column{{title: "a"}, {title: "bb"}}, [][]string{{"xxx", "y"}},
			"a   bb" + strings.Repeat(" ", 37) + "\nxxx y " + strings.Repeat(" ", 37) + "\n"},
		{"half of the surplus to the expanding column", []column{{title: "a", expands: true}, {title: "bb"}}, [][]string{{"xxx", "y"}},
			"a   " + strings.Repeat(" ", 37) + "bb\nxxx " + strings.Repeat(" ", 37) + "y \n"},
		{"no rows", []column{{title: "a"}, {title: "b"}}, nil, "a b" + strings.Repeat(" ", 38) + "\n"},
		{"width in characters", []column{{title: "äöü"}, {title: "b"}}, [][]string{{"x", "y"}},
			"äöü b" + strings.Repeat(" ", 37) + "\nx   y" + strings.Repeat(" ", 37) + "\n"},
		// total is 11+1+79 = 91, 11 too many: the last column gives them all.
		{"too wide, the last column gives way", []column{{title: "a"}, {title: "b"}}, [][]string{{strings.Repeat("x", 11), strings.Repeat("y", 79)}, {"x", "y"}},
			"a           b" + strings.Repeat(" ", 67) + "\n" + strings.Repeat("x", 11) + " " + strings.Repeat("y", 79) + "\n" +
				"x           y" + strings.Repeat(" ", 67) + "\n"},
		// total is 50+1+50 = 101, 21 too many; the last column has 10 to spare, gives half of them, then the first gives 21.
		{"too wide, two columns give way", []column{{title: strings.Repeat("a", 10)}, {title: strings.Repeat("b", 40)}},
			[][]string{{strings.Repeat("x", 50), strings.Repeat("y", 50)}},
			strings.Repeat("a", 10) + strings.Repeat(" ", 19) + " " + strings.Repeat("b", 40) + strings.Repeat(" ", 5) + "\n" +
				strings.Repeat("x", 50) + " " + strings.Repeat("y", 50) + "\n"},
	}
	for _, tt := range tests {
		var out strings.Builder
		table := newTable(&out, tt.columns...)
		for _, r := range tt.rows {
			if err := table.row(r...); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.end(); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("%s:\n%q\nwant\n%q", tt.name, out.String(), tt.want)
		}
	}
}

// Rows after the first hundred are printed as they come and do not change the layout.
func TestTableStreams(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, column{title: "n"}, column{title: "x"})
	for i := range 250 {
		cell := "short"
		if i >= layoutRows {
			cell = strings.Repeat("long", 100)
		}
		if err := table.row(fmt.Sprint(i), cell); err != nil {
			t.Fatal(err)
		}
		if len(table.held) >= layoutRows {
			t.Fatalf("%d rows are held back", len(table.held))
		}
	}
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 252 || !strings.HasPrefix(lines[1], "0  short ") || !strings.HasPrefix(lines[101], "100 longlong") {
		t.Errorf("%d lines, the 2nd %q, the 102nd %.20q", len(lines), lines[1], lines[101])
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "plain@x.y_z-1": "plain@x.y_z-1", "it's": `'it'\''s'`, "a b": "'a b'", "$x": "'$x'"} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
