package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	o, err := parse(args, os.Stderr)
	if err == nil {
		err = o.run(ctx, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	selection
	target  string // the package that is broken
	also    []string
	n, from int
	tests   string        // pattern of those that are run
	span    time.Duration // no mutant is begun after it; 0: no limit
	list    bool
	unseen  bool
	verbose bool
	dir     string // where the go command runs

	equivalent string // file that lists mutants that no test can kill; "": none
}

// parse reads the command line and explains it on out where it is wrong.
func parse(args []string, out io.Writer) (options, error) {
	o := options{dir: "."}
	set := flag.NewFlagSet("mutants", flag.ContinueOnError)
	set.SetOutput(out)
	set.Usage = func() {
		fmt.Fprintln(out, "usage: mutants [options] PACKAGE")
		set.PrintDefaults()
	}
	set.IntVar(&o.n, "n", 50, "how many mutants are run; 0: all")
	set.IntVar(
		&o.from, "from", 0, "how many that were drawn are left out, to go on where a run ended")
	set.DurationVar(&o.span, "for", 0, "begin no other mutant after this time; go on with -from")
	set.Uint64Var(&o.seed, "seed", 1, "of the draw")
	set.StringVar(&o.tests, "run", "", "run only tests that match this `pattern`")
	set.BoolVar(&o.list, "list", false, "print what is drawn, run nothing")
	set.BoolVar(
		&o.unseen, "unseen", false, "run only those where no test comes, which takes no time")
	set.BoolVar(&o.verbose, "v", false, "print killed mutants too, with the test")
	set.StringVar(&o.equivalent, "equivalent", "",
		"`file` that lists mutants that no test can kill")
	pattern := func(to **regexp.Regexp, name, usage string) {
		set.Func(name, usage, func(s string) (err error) {
			*to, err = regexp.Compile(s)
			return err
		})
	}
	pattern(&o.places, "places", "draw only where FILE.go:LINE matches this `pattern`")
	pattern(&o.kinds, "kinds", "draw only kinds that match this `pattern`")
	set.Func("also", "comma-separated `packages` whose tests are run too", func(s string) error {
		o.also = strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
		return nil
	})
	if err := set.Parse(args); err != nil {
		return options{}, err
	}
	if set.NArg() != 1 {
		return options{}, errors.New("give one package, ./directory for instance")
	}
	o.target = set.Arg(0)
	return o, nil
}

func (o options) run(ctx context.Context, out io.Writer) error {
	target, deps, err := listPackage(ctx, o.dir, o.target)
	if err != nil {
		return err
	}
	source, err := read(target, deps)
	if err != nil {
		return err
	}
	drawn := o.draw(source.mutants)
	all, from := len(drawn), min(o.from, len(drawn))
	drawn = drawn[from:]
	if o.n > 0 {
		drawn = drawn[:min(o.n, len(drawn))]
	}
	if o.list {
		for _, m := range drawn {
			o.printMutant(out, "", m, "")
		}
		return nil
	}
	list, err := o.openEquivalents()
	if err != nil {
		return err
	}
	for _, entry := range o.gone(list, source) {
		fmt.Fprintf(out, "%s lists what is not in the source any more: %s\n", o.equivalent, entry)
	}
	packages := []pkg{target}
	for _, pattern := range o.also {
		p, _, err := listPackage(ctx, o.dir, pattern)
		if err != nil {
			return err
		}
		packages = append(packages, p)
	}
	temp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	r, err := newRunner(ctx, o.dir, temp, source, packages, o.tests)
	if err != nil {
		return err
	}
	if o.unseen {
		drawn = slices.DeleteFunc(drawn, func(m mutant) bool { return r.reached[m.number] })
	}
	var t tally
	began := time.Now()
	for _, m := range drawn {
		if o.span > 0 && time.Since(began) > o.span {
			break
		}
		var res result
		if res, err = r.run(ctx, m); err != nil {
			break // what is known is printed all the same
		}
		res.equivalent = list[o.listed(m)]
		t.add(res)
		o.printResult(out, res)
	}
	fmt.Fprintf(out, "%s, seed %d, mutants %d to %d of %d:\n",
		o.target, o.seed, from, from+t.run, all)
	t.print(out)
	return err
}

func (o options) printResult(out io.Writer, r result) {
	switch {
	case r.equivalent != "" && r.verdict.survived():
		if o.verbose {
			o.printMutant(out, "equal   ", r.mutant, ": "+r.equivalent)
		}
	case r.equivalent != "":
		o.printMutant(out, "killed  ", r.mutant, " though it is listed as equivalent, by "+r.test)
	case r.verdict == unreached:
		o.printMutant(out, "unseen  ", r.mutant, "")
	case r.verdict == lives:
		o.printMutant(out, "lives   ", r.mutant, "")
	case !o.verbose:
	case r.verdict == timedOut:
		o.printMutant(out, "killed  ", r.mutant, " by the time limit")
	default:
		o.printMutant(out, "killed  ", r.mutant, " by "+r.test)
	}
}

func (o options) printMutant(out io.Writer, before string, m mutant, after string) {
	fmt.Fprintf(out, "%s%s:%d %s%s\n", before, o.relative(m.file), m.line, m.what(), after)
}

// tally counts verdicts.
type tally struct{ run, unreached, timedOut, killed, equivalent int }

func (t *tally) add(r result) {
	t.run++
	switch {
	case !r.verdict.survived():
		t.killed++
		if r.verdict == timedOut {
			t.timedOut++
		}
	case r.equivalent != "":
		t.equivalent++
	case r.verdict == unreached:
		t.unreached++
	}
}

func (t *tally) print(out io.Writer) {
	fmt.Fprintf(out, "%d run, %d killed (%d of them by the time limit), "+
		"%d live (%d of them where no test comes)",
		t.run, t.killed, t.timedOut, t.run-t.equivalent-t.killed, t.unreached)
	others := t.run - t.equivalent
	if t.equivalent > 0 {
		fmt.Fprintf(out, ", %d equivalent, of the others", t.equivalent)
	}
	if others > 0 {
		fmt.Fprintf(out, ": %.1f %% killed", 100*float64(t.killed)/float64(others))
	}
	fmt.Fprintln(out)
}
