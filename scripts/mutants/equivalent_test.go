package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Mutants that are listed with a reason do not count; what is listed wrongly is said.
func TestListedMutants(t *testing.T) {
	dir := writeSample(t, "", "")
	list := "# A comment.\n\n" +
		"p/p.go Sum: negate condition < -> >= | i < len(of)\n\tNobody\n\tcan tell.\n" +
		"p/p.go Covered: negate condition == -> != | n == 3\n\tSo it was thought.\n" +
		"p/p.go Gone: drop call | f()\n\tIt does nothing.\n" +
		"q/q.go Elsewhere: drop call | f()\n\tAnother package.\n"
	if err := os.WriteFile(filepath.Join(dir, "list"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-equivalent", "list", "-places", "p.go:([35]|10)", "-kinds", "negate", "./p"}
	want := []string{
		"./p, seed 1, mutants 0 to 3 of 3:",
		"3 run, 1 killed (0 of them by the time limit), 1 live (1 of them where no test comes), " +
			"1 equivalent, of the others: 50.0 % killed",
		"killed  p/p.go:3 Covered: negate condition == -> != | n == 3 " +
			"though it is listed as equivalent, by TestCovered",
		"list lists what is not in the source any more: p/p.go Gone: drop call | f()",
		"unseen  p/p.go:5 Uncovered: negate condition == -> != | n == 4",
	}
	for _, verbose := range []bool{false, true} {
		if verbose {
			args = append([]string{"-v"}, args...)
			want = slices.Insert(want, 2,
				"equal   p/p.go:10 Sum: negate condition < -> >= | i < len(of): Nobody can tell.")
		}
		got, err := output(t, dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("output (-want +got):\n%s", d)
		}
	}
}

func TestReadEquivalents(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"without a reason", "a\nb\n\tbecause\n", "give a reason for a"},
		{"without a reason at the end", "a\n\tbecause\nb\n", "give a reason for b"},
		{"a reason of nothing", "\tbecause\n", "a reason without a mutant: because"},
		{"twice", "a\n\tbecause\na\n\tbecause\n", "listed twice: a"},
	} {
		_, err := readEquivalents(strings.NewReader(c.text), "list")
		if err == nil || err.Error() != "list: "+c.want {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := output(t, writeSample(t, "", ""), "-equivalent", "none", "./p"); err == nil {
		t.Error("no error of a list that does not exist")
	}
}

// The list of this repository can be read, and names only mutants that its source has.
func TestEquivalentsOfThisRepository(t *testing.T) {
	o := options{equivalent: "scripts/mutants/equivalent.txt", dir: "../.."}
	list, err := options{equivalent: "equivalent.txt", dir: "."}.openEquivalents()
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]bool)
	for entry := range list {
		file, _, _ := strings.Cut(entry, " ")
		packages["./"+filepath.Dir(file)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		target, deps, err := listPackage(t.Context(), o.dir, name)
		if err != nil {
			t.Fatal(err)
		}
		source, err := read(target, deps)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range o.gone(list, source) {
			t.Errorf("%s lists what is not in the source any more: %s", o.equivalent, entry)
		}
	}
}
