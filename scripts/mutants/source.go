package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string // those that this system and architecture build
}

// listPackage asks the go command, run in dir, for one package.
func listPackage(ctx context.Context, dir, pattern string) (pkg, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,GoFiles", pattern)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return pkg{}, fmt.Errorf("go list %s: %w\n%s", pattern, err, errs.Bytes())
	}
	var p pkg
	if err := json.Unmarshal(out, &p); err != nil {
		return pkg{}, fmt.Errorf("go list %s: %w (one package at a time)", pattern, err)
	}
	return p, nil
}

// selection says which mutants of a package are drawn.
type selection struct {
	files *regexp.Regexp // matched against "file.go:line"; nil: all
	kinds *regexp.Regexp // nil: all
	seed  uint64
}

// draw returns the chosen mutants of a package in random order.
func (s selection) draw(p pkg) ([]mutant, error) {
	var all []mutant
	for _, name := range slices.Sorted(slices.Values(p.GoFiles)) {
		path := filepath.Join(p.Dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := mutantsOf(path, src)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	// All are shuffled before some are left out, so that a mutant keeps its turn.
	rand.New(rand.NewPCG(s.seed, 0)).Shuffle(len(all), func(i, j int) {
		all[i], all[j] = all[j], all[i]
	})
	return slices.DeleteFunc(all, func(m mutant) bool {
		place := fmt.Sprintf("%s:%d", filepath.Base(m.file), m.line)
		return s.files != nil && !s.files.MatchString(place) ||
			s.kinds != nil && !s.kinds.MatchString(m.kind)
	}), nil
}
