package authrelay

import (
	"io"
	"net"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a client has written when the door closes is read and answered, though auth does not even
// read.
func TestCloseAnswersWhatIsWritten(t *testing.T) {
	tests := []struct {
		name     string
		protocol Protocol
		lines    string
		want     []string
	}{
		{"login", Login, "AUTH\t1\tPLAIN\nAUTH\t2\tPLAIN\n", []string{
			"FAIL\t1\tcode=temp_fail", "FAIL\t2\tcode=temp_fail"}},
		{"userdb", Userdb, "PASS\t1\tamy\nLIST\t2\tservice=x\n", []string{
			"DONE\t2\tfail", "FAIL\t1\tcode=temp_fail"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, auths := newSocketFixture(t, Config{Protocol: tt.protocol})
			client := f.connect()
			stuck := strings.Repeat("CONT\t9\t"+strings.Repeat("x", 8000)+"\n", 40)
			accepted := <-auths // never read from: the relay sits in a write
			defer accepted.Close()
			if _, err := io.WriteString(client, stuck); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(client, tt.lines); err != nil {
				t.Fatal(err)
			}
			f.close()
			rest, err := io.ReadAll(client)
			if err != nil {
				t.Errorf("reading the answers: %v", err)
			}
			got := strings.Fields(strings.ReplaceAll(string(rest), "\t", "␉"))
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], "␉", "\t")
			}
			sort.Strings(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// The authreply door answers the requests that were written, and those that must wait get a
// temporary failure.
func TestCloseCompletesWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Authreply})
		f.director.hold("slow")
		client := f.client()
		client.expect(greeting)
		client.send(hello + "0\n")
		synctest.Wait()
		go f.server.Close()
		synctest.Wait()
		client.send("OK\t1\tuser=slow\tproxy\nOK\t2\tuser=fast\tproxy\n")
		client.expect("OK\t2\tuser=fast\tproxy\thost=192.0.2.1\n")
		client.expect("FAIL\t1\tcode=temp_fail\n")
		client.expectEnd()
	})
}

// Auth has time to answer what it was asked before the door closes, and what comes meanwhile.
func TestCloseWaitsForAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		client, auth := f.client(), f.auth()
		client.send("AUTH\t1\tPLAIN\n")
		auth.expect("AUTH\t1\tPLAIN\n")
		began := time.Now()
		go f.server.Close()
		time.Sleep(drainTime / 4) // as long as checking a password takes
		client.send("AUTH\t2\tPLAIN\n")
		auth.expect("AUTH\t2\tPLAIN\n")
		auth.send("OK\t1\tuser=amy\tproxy\nFAIL\t2\tuser=bob\n")
		client.expect("OK\t1\tuser=amy\tproxy\thost=192.0.2.1\nFAIL\t2\tuser=bob\n")
		client.expectEnd()
		if took := time.Since(began); took > drainTime/2 {
			t.Errorf("closing took %v, though all was answered", took)
		}
	})
}

// Requests behind a write that auth does not take get a temporary failure.
func TestStuckAuthLosesNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		client := f.client()
		f.auth() // never reads
		client.send("AUTH\t1\tPLAIN\n")
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(client, "AUTH\t2\tPLAIN\n")
			sent <- err
		}()
		got := make(map[string]bool)
		client.SetReadDeadline(time.Now().Add(2 * writeTime))
		for range 2 {
			line, err := client.in.ReadString('\n')
			if err != nil {
				t.Fatalf("%v, then %v", got, err)
			}
			got[line] = true
		}
		want := map[string]bool{
			"FAIL\t1\tcode=temp_fail\n": true, "FAIL\t2\tcode=temp_fail\n": true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if err := <-sent; err != nil {
			t.Errorf("the second request is not read: %v", err)
		}
		client.expectEnd()
		f.logged(authStuck)
	})
}

// A client that never stops writing does not hold up the end.
func TestCloseDoesNotWaitForWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Login})
		client, auth := f.client(), f.auth()
		auth.send("SPID\t1\n")
		client.expect("SPID\t1\n") // the door has both ends now
		var writer sync.WaitGroup
		defer writer.Wait()
		writer.Go(func() {
			for {
				if _, err := io.WriteString(client, "CPID\t1\n"); err != nil {
					return
				}
				time.Sleep(drainQuiet / 2)
			}
		})
		began := time.Now()
		if err := f.server.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < drainTime/2 || took > 2*drainTime {
			t.Errorf("closing took %v, want about %v", took, drainTime)
		}
	})
}

// socketFixture is a door on a real socket, whose buffer holds what the door has not read yet.
type socketFixture struct {
	t      *testing.T
	server *Server
	path   string
}

// newSocketFixture returns a door, and where its connections to auth arrive.
func newSocketFixture(t *testing.T, cfg Config) (*socketFixture, <-chan net.Conn) {
	t.Helper()
	dir := t.TempDir()
	f := &socketFixture{t: t, path: filepath.Join(dir, "door")}
	cfg.Auth, cfg.Director = filepath.Join(dir, "auth"), &fakeDirector{}
	auth, err := net.Listen("unix", cfg.Auth)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	auths := make(chan net.Conn, 1)
	go func() {
		if c, err := auth.Accept(); err == nil {
			auths <- c
		}
	}()
	if f.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	door, err := net.Listen("unix", f.path)
	if err != nil {
		t.Fatal(err)
	}
	go f.server.Serve(door)
	t.Cleanup(f.close)
	return f, auths
}

func (f *socketFixture) connect() net.Conn {
	f.t.Helper()
	c, err := net.Dial("unix", f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

func (f *socketFixture) close() {
	if err := f.server.Close(); err != nil {
		f.t.Errorf("closing: %v", err)
	}
}
