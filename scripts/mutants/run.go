package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// verdict says what became of a mutant.
type verdict int

const (
	unreached verdict = iota // lives, because no test comes there
	lives
	killed
	timedOut
)

// survived reports whether no test failed.
func (v verdict) survived() bool { return v == unreached || v == lives }

// result is one mutant and what became of it.
type result struct {
	mutant
	verdict verdict
	test    string // the first test that failed; empty if that is not known

	equivalent string // why no test can kill it; empty if it is not listed
}

// runner runs the tests of packages as one mutant at a time.
type runner struct {
	temp    string // for what it builds
	tests   []*testPackage
	reached map[int]bool // mutants by number
}

// newRunner builds the tests of packages with all mutants of a source in it, by running the go
// command in dir, and runs them once without a mutant: they must pass. Only tests are run that
// match a pattern.
func newRunner(
	ctx context.Context, dir, temp string, s *source, packages []pkg, tests string,
) (*runner, error) {
	r := &runner{temp: temp, reached: make(map[int]bool)}
	overlay, err := r.overlay(s)
	if err != nil {
		return nil, err
	}
	for i, p := range packages {
		binary := filepath.Join(temp, fmt.Sprintf("%d.test", i))
		t := &testPackage{pkg: p, binary: binary, limits: limitsOf}
		if err := t.build(ctx, dir, overlay); err != nil {
			return nil, err
		}
		t.setArgs(ctx)
		if err := t.find(ctx, tests); err != nil {
			return nil, err
		}
		for i := range t.cases {
			if err := t.reach(ctx, &t.cases[i], filepath.Join(temp, "reached")); err != nil {
				return nil, err
			}
			for n := range t.cases[i].reached {
				r.reached[n] = true
			}
		}
		r.tests = append(r.tests, t)
	}
	return r, nil
}

// overlay writes the source with all mutants in it, and the description of it that the compiler
// reads.
func (r *runner) overlay(s *source) (string, error) {
	replace := make(map[string]string)
	for path, text := range s.woven() {
		replace[path] = filepath.Join(r.temp, filepath.Base(path))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return "", err
		}
	}
	description, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.temp, "overlay.json")
	return path, os.WriteFile(path, description, 0o600)
}

// run returns what becomes of a mutant. An error is about the run, not about the mutant.
func (r *runner) run(ctx context.Context, m mutant) (result, error) {
	if !r.reached[m.number] {
		return result{mutant: m, verdict: unreached}, nil
	}
	for _, t := range r.tests {
		for _, cases := range batches(t.reaching(m.number)) {
			v, test, _ := t.run(ctx, m.number, cases)
			if ctx.Err() != nil {
				return result{}, ctx.Err()
			}
			if v != lives {
				return result{mutant: m, verdict: v, test: test}, nil
			}
		}
	}
	return result{mutant: m, verdict: lives}, nil
}
