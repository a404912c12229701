//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestImage builds the container's image twice, which gives the same bytes, and runs it as the
// image says: as nobody, without a shell, and ready.
func TestImage(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatal("no buildah: apt-get install buildah")
		}
		t.Skip("no buildah: apt-get install buildah")
	}
	if os.Geteuid() != 0 {
		t.Skip("buildah's chroot isolation needs root here")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "OUT="+dir, "VERSION=1.2.3", "SOURCE_DATE_EPOCH=1770000000")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, &stderr)
		}
		return strings.TrimSpace(string(out))
	}
	var archives [2][]byte
	var archive string
	for i := range archives {
		dir := t.TempDir()
		run(dir, "scripts/package", "image")
		found, err := filepath.Glob(filepath.Join(dir, "director_1.2.3_linux_*.oci.tar"))
		if err != nil || len(found) != 1 {
			t.Fatalf("built %v, %v", found, err)
		}
		archive = found[0]
		if archives[i], err = os.ReadFile(archive); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same source gives two images")
	}

	container := run("", "buildah", "from", "oci-archive:"+archive)
	t.Cleanup(func() {
		if out, err := exec.Command("buildah", "rm", container).CombinedOutput(); err != nil {
			t.Errorf("removing the container: %v: %s", err, out)
		}
	})
	const addr = "127.88.90.1"
	args := []string{"run", "--isolation", "chroot", "--env", "DIRECTOR_BIND=" + addr + ":9090",
		"--env", "DIRECTOR_METRICS=" + addr + ":9091", "--env",
		"DIRECTOR_MAIL_SERVERS=192.0.2.1", container, "--"}
	if out := run("", "buildah", append(args, "/director", "version")...); !strings.Contains(
		out, "1.2.3") {
		t.Errorf("its version is %q", out)
	}
	serve := exec.CommandContext(t.Context(), "buildah", append(args, "/director", "serve")...)
	var log bytes.Buffer
	serve.Stdout, serve.Stderr = &log, &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	// Buildah hands the signal on to the director.
	defer func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	deadline := time.Now().Add(30 * time.Second)
	for {
		answer, err := http.Get("http://" + addr + ":9091/readyz")
		if err == nil {
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if string(text) == "ready\n" {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not get ready: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
