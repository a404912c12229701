package dovecot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeServer answers every connection to a socket with one text, after it has read until a line
// that ends the request, and hands over what it read. The connection stays open.
func fakeServer(t *testing.T, name, last, answer string) (path string, requests <-chan string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				r := bufio.NewReader(c)
				request := ""
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					request += line
					if strings.HasPrefix(line, last) {
						break
					}
				}
				asked <- request
				io.WriteString(c, answer)
			}()
		}
	}()
	return path, asked
}

// deadSocket is the path of a socket at which nobody listens.
func deadSocket(t *testing.T) string { return filepath.Join(t.TempDir(), "dead") }

// checkErrors lists the ways in which every exchange can fail.
func checkErrors(t *testing.T, last string, ask func(ctx context.Context, path string) error) {
	t.Helper()
	dead := deadSocket(t)
	want := dead + ": no such file or directory; is Dovecot running, and may this user connect?"
	err := ask(t.Context(), dead)
	if err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a server: %v, want %s", err, want)
	}
	hung, _ := fakeServer(t, "hung", last, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ask(ctx, hung); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that does not answer: %v", err)
	}
	long, _ := fakeServer(t, "long", last, strings.Repeat("x", maxLine+1)+"\n")
	if err := ask(t.Context(), long); err == nil ||
		!strings.Contains(err.Error(), "a line has over") {
		t.Errorf("an endless line: %v", err)
	}
	wrong, _ := fakeServer(t, "wrong", last, "hello\nhello\nhello\n")
	if err := ask(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), `"hello"`) {
		t.Errorf("another protocol: %v", err)
	}
}
