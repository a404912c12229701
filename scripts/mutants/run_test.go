package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a module with a package p, which its own test covers in part, and a package q whose
// test covers more of it.
var sample = map[string]string{
	"go.mod": "module sample\n\ngo 1.26\n",
	"p/p.go": `package p

func Covered(n int) bool { return n == 3 }

func Uncovered(n int) bool { return n == 4 }

func CoveredElsewhere(n int) bool { return n == 5 }

func Sum(of []int) (sum int) {
	for i := 0; i < len(of); i++ {
		sum += of[i]
	}
	return sum
}
`,
	"p/p_test.go": `package p

import "testing"

func TestCovered(t *testing.T) {
	if !Covered(3) {
		t.Error("3 is not covered")
	}
}

func TestThatChecksNothing(t *testing.T) { Sum([]int{1, 2}) }
`,
	"q/q.go": "package q\n",
	"q/q_test.go": `package q

import (
	"testing"

	"sample/p"
)

func TestElsewhere(t *testing.T) {
	if !p.CoveredElsewhere(5) {
		t.Error("5 is not covered")
	}
}
`,
}

// writeSample writes the sample, with one file replaced, and returns its directory.
func writeSample(t *testing.T, replaced, by string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range sample {
		if name == replaced {
			text = by
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// output runs the command in dir and returns what it prints, sorted, since the order is random.
func output(t *testing.T, dir string, args ...string) ([]string, error) {
	t.Helper()
	lines, err := outputInOrder(t, dir, args...)
	slices.Sort(lines)
	return lines, err
}

func outputInOrder(t *testing.T, dir string, args ...string) ([]string, error) {
	t.Helper()
	o, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.dir = dir
	var out bytes.Buffer
	err = o.run(t.Context(), &out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

func TestMutantsOfASample(t *testing.T) {
	dir := writeSample(t, "", "")
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"the package's own tests", []string{"-v", "-kinds", "negate", "./p"}, []string{
			"./p, seed 1, mutants 0 to 4 of 4:",
			"4 run, 1 killed (0 of them by the time limit), " +
				"3 live (2 of them where no test comes): 25.0 % killed",
			"killed  p/p.go:3 Covered: negate condition == -> != | n == 3 by TestCovered",
			"lives   p/p.go:10 Sum: negate condition < -> >= | i < len(of)",
			"unseen  p/p.go:5 Uncovered: negate condition == -> != | n == 4",
			"unseen  p/p.go:7 CoveredElsewhere: negate condition == -> != | n == 5",
		}},
		{"another package's tests too", []string{"-also", "./q", "-kinds", "== -> !=", "./p"},
			[]string{
				"./p, seed 1, mutants 0 to 3 of 3:",
				"3 run, 2 killed (0 of them by the time limit), " +
					"1 live (1 of them where no test comes): 66.7 % killed",
				"unseen  p/p.go:5 Uncovered: negate condition == -> != | n == 4",
			}},
		{"some only, from one on", []string{"-n", "1", "-from", "2", "-places", "p.go:3", "./p"},
			[]string{
				"./p, seed 1, mutants 2 to 3 of 3:",
				"1 run, 1 killed (0 of them by the time limit), " +
					"0 live (0 of them where no test comes): 100.0 % killed",
			}},
		{"some tests only", []string{"-n", "0", "-run", "Nothing", "-kinds", "== -> !=", "./p"},
			[]string{
				"./p, seed 1, mutants 0 to 3 of 3:",
				"3 run, 0 killed (0 of them by the time limit), " +
					"3 live (3 of them where no test comes): 0.0 % killed",
				"unseen  p/p.go:3 Covered: negate condition == -> != | n == 3",
				"unseen  p/p.go:5 Uncovered: negate condition == -> != | n == 4",
				"unseen  p/p.go:7 CoveredElsewhere: negate condition == -> != | n == 5",
			}},
		{"what no test reaches", []string{"-n", "0", "-unseen", "-kinds", "negate", "./p"},
			[]string{
				"./p, seed 1, mutants 0 to 2 of 4:",
				"2 run, 0 killed (0 of them by the time limit), " +
					"2 live (2 of them where no test comes): 0.0 % killed",
				"unseen  p/p.go:5 Uncovered: negate condition == -> != | n == 4",
				"unseen  p/p.go:7 CoveredElsewhere: negate condition == -> != | n == 5",
			}},
		{"for a moment only", []string{"-for", "1ns", "./p"}, []string{
			"./p, seed 1, mutants 0 to 0 of 13:",
			"0 run, 0 killed (0 of them by the time limit), 0 live (0 of them where no test comes)",
		}},
		{"a list of all", []string{"-list", "-n", "0", "-places", "p.go:1[01]", "./p"}, []string{
			"p/p.go:10 Sum: boundary < -> <= | i < len(of)",
			"p/p.go:10 Sum: change constant 0 -> 1 | for i := 0; i < len(of); i++ {",
			"p/p.go:10 Sum: negate condition < -> >= | i < len(of)",
			"p/p.go:11 Sum: drop assignment | sum += of[i]",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := output(t, dir, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("output (-want +got):\n%s", d)
			}
		})
	}
	after, err := os.ReadFile(filepath.Join(dir, "p/p.go"))
	if err != nil || string(after) != sample["p/p.go"] {
		t.Errorf("the source was touched: %v\n%s", err, after)
	}
}

// Mutants are told apart by the function or method that they are in, and by their turn in it.
func TestNamesOfMutants(t *testing.T) {
	dir := writeSample(t, "p/p.go", `package p

type T[K comparable] struct{ at K }

func (t *T[K]) Set(v K) { t.at = v; t.at = v }

type U[K, V comparable] struct{ at V }

func (u U[K, V]) Is(v V) bool { return u.at == v }

type W int

func (w W) Double() W { w += w; return w }

func Covered(n int) bool { return n == 3 }

func Sum([]int) int { return 0 }
`)
	got, err := output(t, dir, "-list", "-n", "0", "-kinds", "drop|negate", "./p")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"p/p.go:13 W.Double: drop assignment | w += w",
		"p/p.go:15 Covered: negate condition == -> != | n == 3",
		"p/p.go:5 T.Set: drop assignment | t.at = v",
		"p/p.go:5 T.Set: drop assignment | t.at = v (2)",
		"p/p.go:9 U.Is: negate condition == -> != | u.at == v",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mutants (-want +got):\n%s", d)
	}
}

// What rapid finds out about a mutant is not written down.
func TestRapidWritesNothing(t *testing.T) {
	dir := writeSample(t, "p/p_test.go", `package p

import (
	"flag"
	"testing"
)

var quiet = flag.Bool("rapid.nofailfile", false, "do not write fail files on test failures")

func TestCovered(t *testing.T) {
	if !*quiet || !Covered(3) {
		t.Error("3 is not covered")
	}
}
`)
	got, err := output(t, dir, "-places", "p.go:3", "-kinds", "negate", "./p")
	want := []string{"./p, seed 1, mutants 0 to 1 of 1:", "1 run, 1 killed " +
		"(0 of them by the time limit), 0 live (0 of them where no test comes): 100.0 % killed"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("output (-want +got):\n%s%v", d, err)
	}
}

// The same seed draws the same mutants, another one others.
func TestSeed(t *testing.T) {
	dir := writeSample(t, "", "")
	draw := func(seed string) string {
		drawn, err := outputInOrder(t, dir, "-list", "-seed", seed, "./p")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(drawn, "\n")
	}
	first := draw("1")
	if d := cmp.Diff(first, draw("1")); d != "" {
		t.Fatalf("drawn again (-first +again):\n%s", d)
	}
	if first == draw("2") {
		t.Error("another seed draws the same")
	}
}

// Tests that take long are run when the others have passed, and kill mutants like those.
func TestBatches(t *testing.T) {
	dir := writeSample(t, "", "")
	p, deps, err := listPackage(t.Context(), dir, "./p")
	if err != nil {
		t.Fatal(err)
	}
	s, err := read(p, deps)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(t.Context(), dir, t.TempDir(), s, []pkg{p}, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.tests[0].cases[0].took, r.tests[0].cases[1].took = time.Second, time.Hour
		slices.Reverse(r.tests[0].cases)
		for _, m := range (selection{kinds: regexp.MustCompile("negate")}).draw(s.mutants) {
			want := map[int]result{
				3:  {mutant: m, verdict: killed, test: "TestCovered"},
				10: {mutant: m, verdict: lives},
			}[m.line] // no test comes to the others
			want.mutant = m
			if got, err := r.run(t.Context(), m); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		}
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		took []time.Duration
		want []int // how many tests are run at once
	}{
		{nil, nil},
		{[]time.Duration{ms, ms}, []int{2}},
		{[]time.Duration{100 * ms, 100 * ms, 150 * ms, 250 * ms, 300 * ms, 300 * ms},
			[]int{2, 2, 2}},
	} {
		var cases []testCase
		for _, took := range c.took {
			cases = append(cases, testCase{took: took})
		}
		var got []int
		for _, b := range batches(cases) {
			got = append(got, len(b))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("batches of %v (-want +got):\n%s", c.took, d)
		}
	}
}

// A mutant that never ends is killed, and so is one that takes all memory.
func TestMutantsWithoutEnd(t *testing.T) {
	dir := writeSample(t, "p/p.go", `package p

func Covered(n int) bool {
	var kept [][]byte
	for done := false; !done; {
		done = true
		if n != 3 {
			kept = append(kept, make([]byte, 1<<28))
			done = false
		}
	}
	return len(kept) == 0
}

func Sum([]int) int { return 0 }
`)
	p, deps, err := listPackage(t.Context(), dir, "./p")
	if err != nil {
		t.Fatal(err)
	}
	s, err := read(p, deps)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunner(t.Context(), dir, t.TempDir(), s, []pkg{p}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		place, kind string
		limits      limits
		want        verdict
	}{
		{"p.go:6", dropAssignment, limits{time.Second, time.Hour, 8 << 20}, timedOut},
		{"p.go:6", dropAssignment, limits{time.Hour, time.Second, 8 << 20}, timedOut},
		{"p.go:7", negateCondition, limits{time.Hour, time.Hour, 4 << 20}, killed},
	} {
		drawn := selection{
			places: regexp.MustCompile(c.place + "$"), kinds: regexp.MustCompile(c.kind),
		}.draw(s.mutants)
		if len(drawn) != 1 {
			t.Fatalf("%s %s: drawn %v", c.place, c.kind, drawn)
		}
		r.tests[0].limits = func(time.Duration) limits { return c.limits }
		if got, err := r.run(t.Context(), drawn[0]); err != nil || got.verdict != c.want {
			t.Errorf("%s %s: verdict %d (%v), want %d", c.place, c.kind, got.verdict, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	failing := writeSample(t, "p/p_test.go", "package p\n\nimport \"testing\"\n\n"+
		"func TestFails(t *testing.T) { t.Fatal(\"as ever\") }\n")
	broken := writeSample(t, "p/p_test.go", "package p\n\nvar x int = \"text\"\n")
	for _, c := range []struct{ name, dir, pattern, want string }{
		{"tests that fail without a mutant", failing, "./p", "sample/p fail without a mutant"},
		{"tests that do not compile", broken, "./p", "building the tests of sample/p"},
		{"no such package", failing, "./none", "go list ./none"},
		{"several packages", failing, "./...", "break one at a time"},
	} {
		_, err := output(t, c.dir, c.pattern)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (options{target: "./p", dir: failing}).run(ctx, io.Discard); err == nil {
		t.Error("no error of a run that was cancelled")
	}
	for _, args := range [][]string{{}, {"./p", "./q"}, {"-places", "(", "./p"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("no error of arguments %q", args)
		}
	}
}
