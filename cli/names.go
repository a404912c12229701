package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"syscall"

	"directormesh/cli/api"
)

// maxNameLine bounds a line of a file of user names.
const maxNameLine = 4 << 10

// openNames opens a file of user names; "-" is stdin, of which reading ends with the context:
// nobody may ever write or close it.
func (inv *invocation) openNames(ctx context.Context, path string) (io.ReadCloser, error) {
	if path == "-" {
		r, w := io.Pipe()
		go func() {
			_, err := io.Copy(w, inv.Stdin)
			w.CloseWithError(err)
		}()
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		return r, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("user names: %s: %w; name a file that this user may read",
			path, syscall.ENOENT)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = errors.Join(syscall.EISDIR, f.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("user names: %s: %s; name a file that this user may read",
			path, api.Cause(err))
	}
	return f, nil
}

// Marks that editors put before a text to tell its encoding.
const (
	utf8Mark       = "\ufeff"
	utf16BigMark   = "\xfe\xff"
	utf16SmallMark = "\xff\xfe"
)

// readNames yields the lines of a file of user names without their line ends; empty ones are left
// out.
func readNames(in io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, maxNameLine), maxNameLine)
		n := 0
		for lines.Scan() {
			n++
			line := strings.TrimSuffix(lines.Text(), "\r")
			if n == 1 {
				if strings.HasPrefix(line, utf16BigMark) ||
					strings.HasPrefix(line, utf16SmallMark) {
					yield("",
						exitf(exitNotPossible, "user names: the file is UTF-16; save it as UTF-8"))
					return
				}
				line = strings.TrimPrefix(line, utf8Mark)
			}
			if line != "" && !yield(line, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield("", exitf(exitNotPossible,
				"user names: line %d is longer than %d bytes; put one name on a line",
				n+1, maxNameLine))
		case errors.Is(err, context.Canceled):
			yield("", err)
		case err != nil:
			yield("", exitf(exitNotPossible, "user names: line %d cannot be read: %s",
				n+1, api.Cause(err)))
		}
	}
}
