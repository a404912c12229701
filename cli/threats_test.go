package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestThreats demands a test, or that it is not there yet, of each row of the tables in
// security.md that say what attackers can do. That the tests exist is for TestDocuments.
func TestThreats(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("doc", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Who can do what\n")
	if !found {
		t.Fatal("security.md does not say who can do what")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	tests := readRepository(t).tests
	attackers, rows := 0, 0
	for attacker := range strings.SplitSeq(section, "\n### ") {
		name, text, _ := strings.Cut(attacker, "\n")
		before := rows
		for line := range strings.Lines(text) {
			cells := strings.Split(strings.TrimSpace(line), "|")
			if len(cells) != 5 || strings.HasPrefix(line, "| tries to |") ||
				strings.HasPrefix(line, "| --- |") {
				continue
			}
			rows++
			shown := testName.FindAllStringSubmatch(cells[3], -1)
			if len(shown) == 0 && strings.TrimSpace(cells[3]) != "*not yet*" {
				t.Errorf("%s: nothing shows the row %q", name, line)
			}
			for _, m := range shown {
				if !tests[m[1]] {
					t.Errorf("%s: %s is no test", name, m[1])
				}
			}
		}
		if rows > before {
			attackers++
		}
	}
	if attackers != 5 || rows < 30 {
		t.Errorf("%d attackers and %d rows found", attackers, rows)
	}
}
