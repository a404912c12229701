package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// equivalents are mutants that no test can kill, because the program does the same with them: by
// file and what they are, the reason.
type equivalents map[string]string

// readEquivalents reads a list of them. An entry is a line as mutants are printed, without the
// number of the line; then, indented, the reason. Empty lines and lines after a # do not count.
func readEquivalents(in io.Reader, name string) (equivalents, error) {
	list := make(equivalents)
	last := ""
	check := func() error {
		if last != "" && list[last] == "" {
			return fmt.Errorf("%s: give a reason for %s", name, last)
		}
		return nil
	}
	for lines := bufio.NewScanner(in); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return list, check()
		}
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			if err := check(); err != nil {
				return nil, err
			}
			if last = text; list[last] != "" {
				return nil, fmt.Errorf("%s: listed twice: %s", name, last)
			}
		case last == "":
			return nil, fmt.Errorf("%s: a reason without a mutant: %s", name, text)
		default:
			list[last] = strings.TrimSpace(list[last] + " " + text)
		}
	}
}

// openEquivalents reads the list that the options name, if they do.
func (o options) openEquivalents() (equivalents, error) {
	if o.equivalent == "" {
		return nil, nil
	}
	f, err := os.Open(filepath.Join(o.dir, o.equivalent))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readEquivalents(f, o.equivalent)
}

// gone returns the listed mutants of a package that its source does not have, sorted.
func (o options) gone(list equivalents, s *source) (gone []string) {
	known := make(map[string]bool)
	for _, m := range s.mutants {
		known[o.listed(m)] = true
	}
	of := o.relative(s.Dir)
	for entry := range list {
		file, _, _ := strings.Cut(entry, " ")
		if filepath.Dir(file) == of && !known[entry] {
			gone = append(gone, entry)
		}
	}
	slices.Sort(gone)
	return gone
}

// listed returns how a mutant is called in a list.
func (o options) listed(m mutant) string { return o.relative(m.file) + " " + m.what() }

// relative returns a path as seen from where the go command runs.
func (o options) relative(path string) string {
	if base, err := filepath.Abs(o.dir); err == nil {
		if rel, err := filepath.Rel(base, path); err == nil {
			return rel
		}
	}
	return path
}
