package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// commentColumns is how wide a comment may be, with tabs of four columns. What is indented in a
// comment is a picture or an example, and as wide as it must be.
const commentColumns = 100

// TestCommentsAreNarrow keeps comments readable beside the code.
func TestCommentsAreNarrow(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		number, literal := 0, false
		for line := range strings.Lines(string(text)) {
			number++
			comment, ok := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
			if !ok {
				literal = literal != (strings.Count(line, "`")%2 == 1)
			}
			if !ok || literal || strings.HasPrefix(comment, " ") {
				continue
			}
			found++
			columns := utf8.RuneCountInString(
				strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    "))
			if columns > commentColumns {
				t.Errorf("%s:%d: a comment of %d columns; at most %d",
					path, number, columns, commentColumns)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 1000 {
		t.Errorf("only %d comment lines found", found)
	}
}
