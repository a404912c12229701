package cli

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// lineColumns is how wide a line of Go may be, with tabs of four columns. Only the lines of a raw
// string of several lines are as wide as they must be: help, scripts, answers of other programs.
const lineColumns = 100

// TestLinesAreNarrow keeps code readable beside other code.
func TestLinesAreNarrow(t *testing.T) {
	for file := range readRepository(t).files {
		if path.Ext(file) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range wideLinesOf(text) {
			t.Errorf("%s:%s; at most %d, with tabs of 4", file, line, lineColumns)
		}
	}
}

func TestWideLinesOf(t *testing.T) {
	x := strings.Repeat("x", lineColumns)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"as wide as it may be", "package p\n//" + x[2:] + "\n", nil},
		{"a comment", "package p\n// " + x + "\n", []string{"2: 103 columns"}},
		{"a picture", "package p\n\n//\t" + x[2:] + "\n", []string{"3: 104 columns"}},
		{"behind a tab", "package p\nvar (\n\t_ = 1 //" + x[11:] + "\n)\n",
			[]string{"3: 101 columns"}},
		{"signs of several bytes", "package p\n//" + strings.Repeat("é", 98) + "\n", nil},
		{"a raw string of one line", "package p\nvar _ = `" + x + "`\n",
			[]string{"2: 110 columns"}},
		{"of several", "package p\nvar _ = `" + x + "\n" + x + "y\n" + x + "yz`\n", nil},
		{"behind them", "package p\nvar _ = `\n`\n//" + x + "\n", []string{"4: 102 columns"}},
	} {
		if diff := cmp.Diff(tt.want, wideLinesOf([]byte(tt.text))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// wideLinesOf returns the lines of a file that are too wide, each with its number and width.
func wideLinesOf(text []byte) (wide []string) {
	raw := rawLines(text)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
		if columns := utf8.RuneCountInString(line); columns > lineColumns && !raw[number] {
			wide = append(wide, fmt.Sprintf("%d: %d columns", number, columns))
		}
	}
	return wide
}

// rawLines returns the numbers of the lines on which raw strings of several lines are.
func rawLines(text []byte) map[int]bool {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	raw := make(map[int]bool)
	for {
		at, kind, literal := s.Scan()
		if kind == token.EOF {
			return raw
		}
		if kind != token.STRING || literal[0] != '`' {
			continue
		}
		first := file.Line(at)
		for n := range strings.Count(literal, "\n") {
			raw[first+n], raw[first+n+1] = true, true
		}
	}
}
