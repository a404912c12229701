package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
)

// maxNameLine bounds a line of a file of user names.
const maxNameLine = 4 << 10

// openNames opens a file of user names; "-" is stdin.
func (s *session) openNames(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(s.Stdin), nil
	}
	f, err := os.Open(path)
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	if err != nil {
		return nil, fmt.Errorf("user names: %s: %w", path, err)
	}
	return f, nil
}

// readNames yields the lines of a file of user names without their line ends; empty ones are left out.
func readNames(in io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, maxNameLine), maxNameLine)
		n := 0
		for lines.Scan() {
			n++
			line := strings.TrimSuffix(lines.Text(), "\r")
			if line != "" && !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield("", exitf(exitNotPossible, "user names: line %d: %v", n+1, err))
		}
	}
}
