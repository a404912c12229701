package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The sample directors start, can be asked at the address that is printed, and leave nothing
// behind.
func TestDev(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, in := io.Pipe()
	var stderr strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"./bin/director", "dev"}, IO{
			Stdout: in, Stderr: &stderr, LookupEnv: func(string) (string, bool) {
				return "", false
			}, Location: time.UTC, Version: "1.2.3",
		})
		in.Close()
	}()
	addr := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, found, ok := strings.Cut(lines.Text(), "export DIRECTOR_ADDR="); ok {
			addr = found
			continue
		}
		if strings.Contains(lines.Text(), "ring status") {
			// The commands shown must run as they stand there.
			if !strings.HasPrefix(lines.Text(), "  ./bin/director ring status ") {
				t.Errorf("the program was called as ./bin/director, and shows %q", lines.Text())
			}
			break
		}
	}
	if addr == "" {
		t.Fatalf("no address was printed; exit status %d, stderr %s", <-ended, stderr.String())
	}
	go io.Copy(io.Discard, out)

	r := runCommand(t, "", "ring", "status", "-a", addr)
	if strings.Count(r.stdout, "synced") != devDirectors {
		t.Errorf("directors:\n%s%s", r.stdout, r.stderr)
	}
	r = runCommand(t, "", "map", "-a", addr, "--json")
	if n := strings.Count(r.stdout, "user_hash"); n != devLogins {
		t.Errorf("%d users are mapped, want %d", n, devLogins)
	}
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d, stderr %s", status, stderr.String())
	}
	if _, err := os.Stat(filepath.Dir(filepath.Dir(addr))); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}
