package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// memoryLimit is what a test process may allocate, in KiB of address space. A loop without end that
// appends would take the machine's otherwise.
const memoryLimit = 8 << 20

// verdict says what became of a mutant.
type verdict int

const (
	unreached verdict = iota // lives, because no test comes there
	lives
	killed
	timedOut
)

// survived tells whether no test failed.
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

// testPackage is a package whose tests are run.
type testPackage struct {
	pkg
	binary  string
	pattern string        // of the tests that are run
	args    []string      // that the binary gets besides
	slow    []string      // those of them that are run when the others have passed
	limit   time.Duration // a run that takes longer has failed
}

// slowTest is how long a test takes that is worth a run of its own. Most mutants die by the others.
const slowTest = 300 * time.Millisecond

// newRunner builds the tests of packages with all mutants of a source in it, by running the go
// command in dir, and runs them once without a mutant: they must pass, and the time they take sets
// the limit. Only tests are run that match a pattern.
func newRunner(
	ctx context.Context, dir, temp string, s *source, packages []pkg, tests string,
) (*runner, error) {
	r := &runner{temp: temp, reached: make(map[int]bool)}
	overlay, err := r.overlay(s)
	if err != nil {
		return nil, err
	}
	for i, p := range packages {
		t := &testPackage{pkg: p, pattern: tests, limit: 10 * time.Minute}
		t.binary = filepath.Join(temp, fmt.Sprintf("%d.test", i))
		if err := t.build(ctx, dir, overlay); err != nil {
			return nil, err
		}
		t.setArgs(ctx)
		began := time.Now()
		v, _, out := t.run(ctx, 0)
		if v != lives {
			return nil, fmt.Errorf("the tests of %s fail without a mutant\n%s", p.ImportPath, out)
		}
		t.slow = slowTests(out)
		t.limit = 10*time.Second + 5*time.Since(began)
		r.tests = append(r.tests, t)
	}
	return r, r.reach(ctx)
}

// reach finds out which mutants the tests come to.
func (r *runner) reach(ctx context.Context) error {
	list := filepath.Join(r.temp, "reached")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		return err
	}
	for _, t := range r.tests {
		if v, _, out := t.run(ctx, -1, reachedBy+"="+list); v != lives {
			return fmt.Errorf("the tests of %s fail while noting what they reach\n%s", t.ImportPath, out)
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	for _, line := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			return fmt.Errorf("%s: %w", list, err)
		}
		r.reached[n] = true
	}
	return nil
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

// run tells what becomes of a mutant. An error is about the run, not about the mutant.
func (r *runner) run(ctx context.Context, m mutant) (result, error) {
	if !r.reached[m.number] {
		return result{mutant: m, verdict: unreached}, nil
	}
	for _, t := range r.tests {
		v, test, _ := t.run(ctx, m.number)
		if ctx.Err() != nil {
			return result{}, ctx.Err()
		}
		if v != lives {
			return result{mutant: m, verdict: v, test: test}, nil
		}
	}
	return result{mutant: m, verdict: lives}, nil
}

// build compiles the tests. They are not vetted: what is woven in is no code for readers.
func (t *testPackage) build(ctx context.Context, dir, overlay string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-p", "1", "-vet=off", "-o", t.binary,
		"-overlay", overlay, t.ImportPath)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the tests of %s: %w\n%s", t.ImportPath, err, out)
	}
	return nil
}

// setArgs finds out what else the binary understands. Rapid writes down what makes a property
// fail and tries it first from then on: a mutant's failures must not be tried with the next one.
func (t *testPackage) setArgs(ctx context.Context) {
	usage, _ := exec.CommandContext(ctx, t.binary, "-help").CombinedOutput()
	if bytes.Contains(usage, []byte("-rapid.nofailfile")) {
		t.args = []string{"-rapid.nofailfile"}
	}
}

var (
	failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	success = regexp.MustCompile(`(?m)^--- PASS: (\S+) \((.*)s\)$`)
)

// slowTests returns the tests that took long, given what all printed.
func slowTests(out []byte) (slow []string) {
	for _, m := range success.FindAllSubmatch(out, -1) {
		if took, err := strconv.ParseFloat(string(m[2]), 64); err == nil && took >= slowTest.Seconds() {
			slow = append(slow, string(m[1]))
		}
	}
	return slow
}

// run runs the tests as one mutant, 0 for none. It returns the first test that failed and the
// output.
func (t *testPackage) run(
	ctx context.Context, number int, env ...string,
) (v verdict, test string, output []byte) {
	args := append([]string{"-test.short", "-test.failfast", "-test.v", "-test.timeout", "0"}, t.args...)
	env = append(env, fmt.Sprintf("%s=%d", chosenBy, number))
	if len(t.slow) == 0 {
		return t.start(ctx, env, append(args, "-test.run", t.pattern))
	}
	slow := "^(" + strings.Join(t.slow, "|") + ")$"
	for _, tests := range [][]string{{"-test.run", t.pattern, "-test.skip", slow}, {"-test.run", slow}} {
		v, test, output = t.start(ctx, env, append(args, tests...))
		if v != lives {
			break
		}
	}
	return v, test, output
}

// start starts a process of the tests and waits for it.
func (t *testPackage) start(
	ctx context.Context, env, args []string,
) (v verdict, test string, output []byte) {
	limited, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, memoryLimit)
	cmd := exec.CommandContext(limited, "sh", append([]string{"-c", script, t.binary}, args...)...)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // a child may keep the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return timedOut, "", out.Bytes()
	case err != nil:
		if found := failure.FindSubmatch(out.Bytes()); found != nil {
			test = string(found[1])
		}
		return killed, test, out.Bytes()
	}
	return lives, "", out.Bytes()
}
