package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// testPackage is a package whose tests are run.
type testPackage struct {
	pkg
	binary string
	args   []string                        // that the binary gets besides
	cases  []testCase                      // the fastest first
	limits func(took time.Duration) limits // of tests that take so long without a mutant
}

// testCase is one of its tests.
type testCase struct {
	name    string
	took    time.Duration // without a mutant
	reached map[int]bool  // the mutants that it comes to, by number
}

// limits are what a test process may take. One that takes more has failed.
type limits struct {
	processor time.Duration // does not depend on what else the machine does
	wall      time.Duration // for one that waits without end
	// KiB of address space; a loop without end takes the machine's otherwise
	memory int
}

// limitsOf returns the limits unless a test of ours wants others.
func limitsOf(took time.Duration) limits {
	return limits{5*time.Second + 5*took, 2*time.Minute + 20*took, 8 << 20}
}

// firstBatch is how long the tests take that are run first. Most mutants die by them.
const firstBatch = 200 * time.Millisecond

// batches returns in which portions tests are run. Each takes about as long as all before it, so
// that a mutant costs about twice what it takes to kill it.
func batches(cases []testCase) (all [][]testCase) {
	end, took := firstBatch, time.Duration(0)
	for from, i := 0, 0; i < len(cases); i++ {
		if took += cases[i].took; took >= end || i == len(cases)-1 {
			all = append(all, cases[from:i+1])
			end, from = 2*took, i+1
		}
	}
	return all
}

// reaching returns the tests that come to a mutant.
func (t *testPackage) reaching(number int) (cases []testCase) {
	for _, c := range t.cases {
		if c.reached[number] {
			cases = append(cases, c)
		}
	}
	return cases
}

// find finds out which tests there are, and how long they take.
func (t *testPackage) find(ctx context.Context, pattern string) error {
	most := limitsOf(10 * time.Minute)
	v, _, out := t.start(ctx, most, nil, "-test.run", pattern)
	if v != lives {
		return fmt.Errorf("the tests of %s fail without a mutant\n%s", t.ImportPath, out)
	}
	for _, m := range success.FindAllSubmatch(out, -1) {
		took, _ := strconv.ParseFloat(string(m[2]), 64) // the pattern takes nothing else
		t.cases = append(t.cases, testCase{
			name: string(m[1]), took: time.Duration(took * float64(time.Second)),
		})
	}
	slices.SortStableFunc(t.cases, func(a, b testCase) int { return cmp.Compare(a.took, b.took) })
	return nil
}

// reach finds out which mutants a test comes to, by a file of the given name.
func (t *testPackage) reach(ctx context.Context, c *testCase, file string) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if v, _, out := t.run(ctx, -1, []testCase{*c}, reachedBy+"="+file); v != lives {
		return fmt.Errorf(
			"%s of %s fails while noting what it reaches\n%s", c.name, t.ImportPath, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c.reached = make(map[int]bool)
	for _, line := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		c.reached[n] = true
	}
	return nil
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
	success = regexp.MustCompile(`(?m)^--- PASS: (\S+) \(([0-9.]+)s\)$`)
)

// run runs tests as one mutant, 0 for none. It returns the first that failed and the output.
func (t *testPackage) run(
	ctx context.Context, number int, cases []testCase, env ...string,
) (v verdict, test string, output []byte) {
	names, took := make([]string, len(cases)), time.Duration(0)
	for i, c := range cases {
		names[i] = c.name
		took += c.took
	}
	env = append(env, fmt.Sprintf("%s=%d", chosenBy, number))
	return t.start(ctx, t.limits(took), env, "-test.run", "^("+strings.Join(names, "|")+")$")
}

// start starts a process of the tests and waits for it.
func (t *testPackage) start(
	ctx context.Context, most limits, env []string, args ...string,
) (v verdict, test string, output []byte) {
	limited, cancel := context.WithTimeout(ctx, most.wall)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; ulimit -t %d; exec "$0" "$@"`,
		most.memory, int(most.processor.Seconds()))
	args = slices.Concat([]string{
		"-c", script, t.binary, "-test.short", "-test.failfast", "-test.v", "-test.timeout", "0",
	}, t.args, args)
	cmd := exec.CommandContext(limited, "sh", args...)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // a child may keep the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return timedOut, "", out.Bytes()
	case err != nil:
		if found := failure.FindSubmatch(out.Bytes()); found != nil {
			test = string(found[1])
		}
		return killed, test, out.Bytes()
	}
	return lives, "", out.Bytes()
}
