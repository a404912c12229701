package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// declared is what the lines of these tests use.
const declared = `package p; import "time"; var (
	a, b, n int; small uint8; big int64; list []int; pause time.Duration; ok, yes, no bool; c chan int
	g func(...any) bool; h func(func() bool, func() int) bool; both func() (int, bool)
)
`

// dependencies returns those of this package, among which are those of the lines of these tests.
func dependencies(t *testing.T) map[string]string {
	t.Helper()
	_, deps, err := listPackage(t.Context(), ".", ".")
	if err != nil {
		t.Fatal(err)
	}
	return deps
}

// readLine returns the mutants of a function with one line, given what follows "func f(".
func readLine(t *testing.T, deps map[string]string, signature, line string) *source {
	t.Helper()
	p := pkg{ImportPath: "p", Name: "p", Dir: t.TempDir(), GoFiles: []string{"line.go"}}
	text := declared + "func f(" + signature + " {\n" + line + "\n}\n"
	if err := os.WriteFile(filepath.Join(p.Dir, "line.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := read(p, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var numbered = regexp.MustCompile(`\b(mutant\w+(?:\[[\w.]+\])?\()\d+`)

// line returns the function's line when some mutants are woven in; m stands for each's number.
func (s *source) line(t *testing.T, mutants ...mutant) string {
	t.Helper()
	before := strings.Split(string(s.files[0].text), "\n")
	after := strings.Split(string(weave(s.files[0].text, mutants)), "\n")
	if len(before) != len(after) {
		t.Errorf("lines move:\n%s", strings.Join(after, "\n"))
	}
	return numbered.ReplaceAllString(after[len(before)-3], "${1}m")
}

func TestOperators(t *testing.T) {
	deps := dependencies(t)
	for _, c := range []struct {
		name      string
		signature string // ")" if empty
		line      string
		want      []string
	}{
		{name: "an equality is negated", line: "g(a == b)", want: []string{
			"drop call: if !mutantIs(m) { g(a == b) }",
			"negate condition == -> !=: g((mutantIs(m) != (a == b)))",
		}},
		{name: "an order is negated and its bound is shifted", line: "_ = a < b", want: []string{
			"negate condition < -> >=: _ = (mutantIs(m) != (a < b))",
			"boundary < -> <=: _ = mutantLess(m, a , b)",
		}},
		{name: "a condition that is no comparison is negated as a whole", line: "if ok { _ = a }",
			want: []string{"negate condition: if (mutantIs(m) != (ok)) { _ = a }"}},
		{name: "a loop's condition is one", line: "for g() { _ = a }",
			want: []string{"negate condition: for (mutantIs(m) != (g())) { _ = a }"}},
		{name: "each side of && is dropped", line: "_ = ok && yes", want: []string{
			"drop left of &&: _ = (mutantIs(m) || (ok)) && yes",
			"drop right of &&: _ = ok && (mutantIs(m) || (yes))",
		}},
		{name: "each side of || is dropped", line: "_ = ok || yes", want: []string{
			"drop left of ||: _ = (!mutantIs(m) && (ok)) || yes",
			"drop right of ||: _ = ok || (!mutantIs(m) && (yes))",
		}},
		{name: "a guard that returns is dropped", line: "if a := b; a != n { g(); return }",
			want: []string{
				"drop guard: if a := b; (!mutantIs(m) && (a != n)) { g(); return }",
				"negate condition != -> ==: if a := b; (mutantIs(m) != (a != n)) { g(); return }",
				"drop call: if a := b; a != n { if !mutantIs(m) { g() }; return }",
			}},
		{name: "a guard that goes on with the loop is dropped", line: "for { if ok { continue } }",
			want: []string{
				"negate condition: for { if (mutantIs(m) != (ok)) { continue } }",
				"drop guard: for { if (!mutantIs(m) && (ok)) { continue } }",
			}},
		{name: "a condition with an else is no guard", line: "if ok { return } else { return }",
			want: []string{
				"negate condition: if (mutantIs(m) != (ok)) { return } else { return }",
			}},
		{name: "assignments are dropped", line: "a = b; a += n; a++", want: []string{
			"drop assignment: if !mutantIs(m) { a = b }; a += n; a++",
			"drop assignment: a = b; if !mutantIs(m) { a += n }; a++",
			"drop assignment: a = b; a += n; if !mutantIs(m) { a++ }",
		}},
		{name: "calls are dropped", line: "g(); go g(); defer g(); c <- a", want: []string{
			"drop call: if !mutantIs(m) { g() }; go g(); defer g(); c <- a",
			"drop call: g(); if !mutantIs(m) { go g() }; defer g(); c <- a",
			"drop call: g(); go g(); if !mutantIs(m) { defer g() }; c <- a",
			"drop call: g(); go g(); defer g(); if !mutantIs(m) { c <- a }",
		}},
		{name: "what declares, waits, panics or goes nowhere stays",
			line: "a := b; _ = a; <-c; panic(a)"},
		{name: "statements of a case are dropped", line: "switch { case ok: g() }",
			want: []string{"drop call: switch { case ok: if !mutantIs(m) { g() } }"}},
		{name: "statements of a communication are dropped", line: "select { case <-c: g() }",
			want: []string{"drop call: select { case <-c: if !mutantIs(m) { g() } }"}},
		{name: "a bool that is returned is swapped", signature: ") (int, bool)",
			line: "return n, ok",
			want: []string{"swap return: return n, (mutantIs(m) != (ok))"}},
		{name: "named bools count one by one", signature: ") (a, b bool)", line: "return true, ok",
			want: []string{
				"swap return: return (mutantIs(m) != (true)), ok",
				"swap return: return true, (mutantIs(m) != (ok))",
			}},
		{name: "a comparison that is returned is negated once", signature: ") bool",
			line: "return a == b",
			want: []string{"negate condition == -> !=: return (mutantIs(m) != (a == b))"}},
		{name: "the results of one call are not swapped", signature: ") (int, bool)",
			line: "return both()"},
		{name: "a function within has results of its own", signature: ") bool",
			line: "return h(func() bool { return yes }, func() int { return n })", want: []string{
				"swap return: return (mutantIs(m) != (" +
					"h(func() bool { return yes }, func() int { return n })))",
				"swap return: return h(" +
					"func() bool { return (mutantIs(m) != (yes)) }, func() int { return n })",
			}},
		{name: "an integer is made greater and smaller", line: "_ = list[2:]", want: []string{
			"change constant 2 -> 3: _ = list[mutantNumber[int](m, 2, 3):]",
			"change constant 2 -> 1: _ = list[mutantNumber[int](m, 2, 1):]",
		}},
		{name: "zero is made greater only", line: "_ = 0x0 + n",
			want: []string{"change constant 0x0 -> 1: _ = mutantNumber[int](m, 0x0, 1) + n"}},
		{name: "a constant has the type that is wanted of it", line: "_ = big * -1", want: []string{
			"change constant 1 -> 2: _ = big * mutantNumber[int64](m, -1, -2)",
			"change constant 1 -> 0: _ = big * mutantNumber[int64](m, -1, -0)",
		}},
		{name: "a type of another package is written as the file writes it",
			line: "_ = pause + 1*time.Second", want: []string{
				"change constant 1 -> 2: _ = pause + " +
					"mutantNumber[time.Duration](m, 1*time.Second, 2*time.Second)",
				"change constant 1 -> 0: _ = pause + " +
					"mutantNumber[time.Duration](m, 1*time.Second, 0*time.Second)",
			}},
		{name: "no constant is more than its type holds", line: "_ = small & 255",
			want: []string{
				"change constant 255 -> 254: _ = small & mutantNumber[uint8](m, 255, 254)",
			}},
		{name: "declared constants and lengths of types stay",
			line: "const c = 5; var a [4]int; _ = a"},
		{name: "capacities stay", line: "_ = make([]int, n, 3); _ = make(map[int]int, 2)"},
		{name: "indexes of literals stay", line: "_ = [2]int{1: n}"},
		{name: "a length changes", line: "_ = make([]int, 1)", want: []string{
			"change constant 1 -> 2: _ = make([]int, mutantNumber[int](m, 1, 2))",
			"change constant 1 -> 0: _ = make([]int, mutantNumber[int](m, 1, 0))",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			signature := c.signature
			if signature == "" {
				signature = ")"
			}
			s := readLine(t, deps, signature, c.line)
			var got []string
			for _, m := range s.mutants {
				got = append(got, m.kind+": "+s.line(t, m))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("mutants (-want +got):\n%s", d)
			}
		})
	}
}

// All mutants are in one program: what is wrapped again is wrapped as a whole.
func TestWeave(t *testing.T) {
	deps := dependencies(t)
	for _, c := range []struct{ line, want string }{
		{"if ok && a < 1 { return }",
			"if (mutantIs(m) != ((!mutantIs(m) && ((mutantIs(m) || (ok)) && (mutantIs(m) || (" +
				"(mutantIs(m) != (mutantLess(m, a , mutantNumber[int](m, " +
				"mutantNumber[int](m, 1, 2), 0)" +
				"))))))))) { return }"},
		{"g(g(a == b))", "if !mutantIs(m) { g(g((mutantIs(m) != (a == b)))) }"},
	} {
		s := readLine(t, deps, ")", c.line)
		if d := cmp.Diff(c.want, s.line(t, s.mutants...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.line, d)
		}
	}
}

// What is printed of a mutant tells a reader what was changed.
func TestCodeShown(t *testing.T) {
	s := readLine(t, dependencies(t), ") bool", "return len(list) > 0 && ok")
	var got []string
	for i, m := range s.mutants {
		if m.number != i+1 {
			t.Errorf("mutant %d has the number %d", i+1, m.number)
		}
		got = append(got, fmt.Sprintf("%d %s | %s", m.line, m.kind, m.code))
	}
	want := []string{
		"6 swap return | return len(list) > 0 && ok",
		"6 drop left of && | len(list) > 0 && ok",
		"6 drop right of && | len(list) > 0 && ok",
		"6 negate condition > -> <= | len(list) > 0",
		"6 boundary > -> >= | len(list) > 0",
		"6 change constant 0 -> 1 | return len(list) > 0 && ok",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mutants (-want +got):\n%s", d)
	}
}
