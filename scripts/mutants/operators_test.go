package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// body returns a source file with one function whose third line is the one given.
func body(signature, line string) string {
	return "package p\nfunc f(" + signature + " {\n" + line + "\n}\n"
}

// changes returns the mutants of a function's line as "kind: changed line".
func changes(t *testing.T, signature, line string) []string {
	t.Helper()
	src := body(signature, line)
	found, err := mutantsOf("p.go", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		changed := string(m.apply([]byte(src)))
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", changed, 0); err != nil {
			t.Errorf("%s: %v\n%s", m.kind, err, changed)
		}
		lines := strings.Split(changed, "\n")
		if len(lines) != 5 || m.line != 3 {
			t.Errorf("%s in line %d moves lines:\n%s", m.kind, m.line, changed)
		}
		got = append(got, fmt.Sprintf("%s: %s", m.kind, lines[2]))
	}
	return got
}

func TestOperators(t *testing.T) {
	for _, c := range []struct {
		name      string
		signature string // what follows "func f("; ")" if empty
		line      string
		want      []string
	}{
		{name: "an equality is negated", line: "g(a == b)", want: []string{
			"drop call: if false { g(a == b) }",
			"negate condition == -> !=: g(a != b)",
		}},
		{name: "an order is negated and shifted", line: "x := a < b", want: []string{
			"negate condition < -> >=: x := a >= b",
			"boundary < -> <=: x := a <= b",
		}},
		{name: "a condition that is no comparison is negated as a whole", line: "if ok { x := y }", want: []string{
			"negate condition: if !(ok) { x := y }",
		}},
		{name: "a loop's condition is one", line: "for ok() { x := y }", want: []string{
			"negate condition: for !(ok()) { x := y }",
		}},
		{name: "each side of && is dropped", line: "x := a && b", want: []string{
			"drop left of &&: x := (true || (a)) && b",
			"drop right of &&: x := a && (true || (b))",
		}},
		{name: "each side of || is dropped", line: "x := a || b", want: []string{
			"drop left of ||: x := (false && (a)) || b",
			"drop right of ||: x := a || (false && (b))",
		}},
		{name: "a guard that returns is dropped", line: "if x := y; x != z { g(); return }", want: []string{
			"drop guard: if x := y; false && (x != z) { g(); return }",
			"negate condition != -> ==: if x := y; x == z { g(); return }",
			"drop call: if x := y; x != z { if false { g() }; return }",
		}},
		{name: "a guard that goes on with the loop is dropped", line: "for { if ok { continue } }", want: []string{
			"negate condition: for { if !(ok) { continue } }",
			"drop guard: for { if false && (ok) { continue } }",
		}},
		{name: "a condition with an else is no guard", line: "if ok { return } else { return }", want: []string{
			"negate condition: if !(ok) { return } else { return }",
		}},
		{name: "assignments are dropped", line: "a = b; a += c; a++", want: []string{
			"drop assignment: if false { a = b }; a += c; a++",
			"drop assignment: a = b; if false { a += c }; a++",
			"drop assignment: a = b; a += c; if false { a++ }",
		}},
		{name: "calls are dropped", line: "g(); go g(); defer g(); c <- a", want: []string{
			"drop call: if false { g() }; go g(); defer g(); c <- a",
			"drop call: g(); if false { go g() }; defer g(); c <- a",
			"drop call: g(); go g(); if false { defer g() }; c <- a",
			"drop call: g(); go g(); defer g(); if false { c <- a }",
		}},
		{name: "what declares, waits, panics or goes nowhere stays",
			line: "a := b; _ = a; <-c; panic(a)"},
		{name: "statements of a case are dropped", line: "switch { case a: g() }", want: []string{
			"drop call: switch { case a: if false { g() } }",
		}},
		{name: "statements of a communication are dropped", line: "select { case <-c: h() }", want: []string{
			"drop call: select { case <-c: if false { h() } }",
		}},
		{name: "a bool that is returned is swapped", signature: ") (int, bool)", line: "return x, a", want: []string{
			"swap return: return x, !(a)",
		}},
		{name: "named bools count one by one", signature: ") (a, b bool)", line: "return true, c", want: []string{
			"swap return: return !(true), c",
			"swap return: return true, !(c)",
		}},
		{name: "a comparison that is returned is negated once", signature: ") bool",
			line: "return a == b", want: []string{
				"negate condition == -> !=: return a != b",
			}},
		{name: "the results of one call are not swapped", signature: ") (int, bool)", line: "return g()"},
		{name: "a function within has results of its own", signature: ") bool",
			line: "return h(func() bool { return x }, func() int { return y })", want: []string{
				"swap return: return !(h(func() bool { return x }, func() int { return y }))",
				"swap return: return h(func() bool { return !(x) }, func() int { return y })",
			}},
		{name: "an integer is made greater and smaller", line: "x := y[2:]", want: []string{
			"change constant -> 3: x := y[3:]",
			"change constant -> 1: x := y[1:]",
		}},
		{name: "zero is made greater only", line: "x := 0x0", want: []string{"change constant -> 1: x := 1"}},
		{name: "declared constants and lengths of types stay", line: "const c = 5; var a [4]int"},
		{name: "capacities stay", line: "b := make([]int, n, 3); m := make(map[int]int, 2)"},
		{name: "a length changes", line: "b := make([]int, 1)", want: []string{
			"change constant -> 2: b := make([]int, 2)",
			"change constant -> 0: b := make([]int, 0)",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			signature := c.signature
			if signature == "" {
				signature = ")"
			}
			if d := cmp.Diff(c.want, changes(t, signature, c.line)); d != "" {
				t.Errorf("mutants (-want +got):\n%s", d)
			}
		})
	}
}

// What is printed of a mutant tells a reader what was changed.
func TestCodeShown(t *testing.T) {
	found, err := mutantsOf("p.go", []byte(body(") bool", "return len(a) > 0 && b")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.kind+" | "+m.code)
	}
	want := []string{
		"swap return | return len(a) > 0 && b",
		"drop left of && | len(a) > 0 && b",
		"negate condition > -> <= | len(a) > 0",
		"boundary > -> >= | len(a) > 0",
		"change constant -> 1 | return len(a) > 0 && b",
		"drop right of && | len(a) > 0 && b",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("mutants (-want +got):\n%s", d)
	}
}

func TestNoMutantsOfWhatDoesNotParse(t *testing.T) {
	if _, err := mutantsOf("p.go", []byte("package p\nfunc {")); err == nil {
		t.Error("no error")
	}
}
