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
	"time"
)

// memoryLimit is what a test process may allocate, in KiB of address space. A loop without end that
// appends would take the machine's otherwise.
const memoryLimit = 8 << 20

// verdict says what became of a mutant.
type verdict int

const (
	lives verdict = iota
	killed
	timedOut
	broken // does not compile, so it does not count
)

// result is one mutant and what became of it.
type result struct {
	mutant
	verdict verdict
	test    string // the first test that failed; empty if that is not known
}

// runner runs the tests of packages with one mutant at a time.
type runner struct {
	dir   string        // where the go command runs
	temp  string        // for what it builds
	tests []testPackage // of which the first that fails ends the run
}

// testPackage is a package whose tests are run.
type testPackage struct {
	pkg
	limit time.Duration // a run that takes longer has failed
}

// newRunner runs the tests once without a mutant: they must pass, and the time they take sets the
// limit.
func newRunner(ctx context.Context, dir, temp string, packages []pkg) (*runner, error) {
	r := &runner{dir: dir, temp: temp}
	for _, p := range packages {
		t := testPackage{pkg: p, limit: 10 * time.Minute}
		if err := r.build(ctx, p, ""); err != nil {
			return nil, err
		}
		began := time.Now()
		if v, _, out := r.test(ctx, t); v != lives {
			return nil, fmt.Errorf("the tests of %s fail without a mutant\n%s", p.ImportPath, out)
		}
		t.limit = 10*time.Second + 5*time.Since(began)
		r.tests = append(r.tests, t)
	}
	return r, nil
}

// run tells what becomes of a mutant. An error is about the run, not about the mutant.
func (r *runner) run(ctx context.Context, m mutant) (result, error) {
	overlay, err := r.overlay(m)
	if err != nil {
		return result{}, err
	}
	for _, t := range r.tests {
		if err := r.build(ctx, t.pkg, overlay); err != nil {
			if ctx.Err() != nil {
				return result{}, ctx.Err()
			}
			return result{mutant: m, verdict: broken}, nil
		}
		v, test, _ := r.test(ctx, t)
		if ctx.Err() != nil {
			return result{}, ctx.Err()
		}
		if v != lives {
			return result{mutant: m, verdict: v, test: test}, nil
		}
	}
	return result{mutant: m, verdict: lives}, nil
}

// overlay writes the changed file and the description of it that the compiler reads.
func (r *runner) overlay(m mutant) (string, error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(r.temp, "mutant.go")
	if err := os.WriteFile(changed, m.apply(src), 0o600); err != nil {
		return "", err
	}
	description, err := json.Marshal(map[string]any{"Replace": map[string]string{m.file: changed}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.temp, "overlay.json")
	return path, os.WriteFile(path, description, 0o600)
}

func (r *runner) binary() string { return filepath.Join(r.temp, "package.test") }

// build compiles a package's tests. They are not vetted: what is dropped is written in a way that
// vet complains about.
func (r *runner) build(ctx context.Context, p pkg, overlay string) error {
	args := []string{"test", "-c", "-p", "1", "-vet=off", "-o", r.binary()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, p.ImportPath)...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the tests of %s: %w\n%s", p.ImportPath, err, out)
	}
	return nil
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// test runs what was built. It returns the first test that failed and the output.
func (r *runner) test(ctx context.Context, t testPackage) (verdict, string, []byte) {
	limited, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, memoryLimit)
	cmd := exec.CommandContext(limited, "sh", "-c", script, r.binary(),
		"-test.short", "-test.failfast", "-test.timeout", "0")
	cmd.Dir = t.Dir
	cmd.WaitDelay = time.Second // a child may keep the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return timedOut, "", out.Bytes()
	case err != nil:
		test := ""
		if found := failure.FindSubmatch(out.Bytes()); found != nil {
			test = string(found[1])
		}
		return killed, test, out.Bytes()
	}
	return lives, "", nil
}
