package authrelay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A client that has hung up gets what auth answers, and a failure for the line that has an id and
// no end.
func TestHangUpMidLine(t *testing.T) {
	tests := []struct {
		name     string
		protocol Protocol
		sent     string
		answers  string // auth's
		want     []string
	}{
		{"whole", Login, "AUTH\t1\tPLAIN\n", "OK\t1\tuser=a\n", []string{"OK\t1\tuser=a"}},
		{"half", Login, "AUTH\t1\tPLAIN\nAUTH\t2\tPL", "OK\t1\tuser=a\n",
			[]string{"FAIL\t2\tcode=temp_fail", "OK\t1\tuser=a"}},
		{"half an id", Login, "AUTH\t1\tPLAIN\nAUTH\t2", "OK\t1\tuser=a\n",
			[]string{"OK\t1\tuser=a"}},
		{"no request", Login, "AUTH\t1\tPLAIN\nCONT\t2\tx", "OK\t1\tuser=a\n",
			[]string{"OK\t1\tuser=a"}},
		{"userdb", Userdb, "USER\t1\tamy\nLIST\t2\tserv", "NOTFOUND\t1\n",
			[]string{"DONE\t2\tfail", "NOTFOUND\t1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, auths := newSocketFixture(t, Config{Protocol: tt.protocol})
			client := f.connect().(*net.UnixConn)
			auth := <-auths
			defer auth.Close()
			if _, err := io.WriteString(client, tt.sent); err != nil {
				t.Fatal(err)
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(auth).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(auth, tt.answers); err != nil {
				t.Fatal(err)
			}
			// One that auth never got ends the waiting only with auth.
			if strings.Contains(strings.Join(tt.want, ""), "fail") {
				auth.Close()
			}
			if diff := cmp.Diff(tt.want, sortedLines(t, client)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// sortedLines reads the lines of a connection until its end.
func sortedLines(t *testing.T, c net.Conn) []string {
	t.Helper()
	out, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading the answers: %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// What a client could write until the door has ended has an answer, though it never stops: what the
// door would not read any more, the client cannot write.
func TestCloseAnswersWritersToTheLast(t *testing.T) {
	tests := []struct {
		protocol Protocol
		first    string
		line     string // with the id
		want     string
	}{
		{Login, "", "AUTH\t%d\tPLAIN\n", "FAIL\t%d\tcode=temp_fail\n"},
		{Authreply, hello + "0\n", "OK\t%d\tuser=a\n", "OK\t%d\tuser=a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.protocol.String(), func(t *testing.T) {
			f, auths := newSocketFixture(t, Config{Protocol: tt.protocol})
			client := f.connect()
			if _, err := io.WriteString(client, tt.first); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(client)
			if tt.protocol != Authreply {
				auth := <-auths
				defer auth.Close()
				if _, err := io.WriteString(auth, "SPID\t1\n"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := in.ReadString('\n'); err != nil { // the door has both ends now
				t.Fatal(err)
			}
			written := make(chan int)
			began := make(chan struct{})
			go func() {
				n := 0
				for ; ; n++ {
					if n == 10 {
						close(began)
					}
					if _, err := fmt.Fprintf(client, tt.line, n); err != nil {
						break
					}
				}
				written <- n
			}()
			answers := make(chan map[string]bool)
			go func() {
				got := make(map[string]bool)
				for line, err := in.ReadString('\n'); err == nil; line, err = in.ReadString('\n') {
					got[line] = true
				}
				answers <- got
			}()
			<-began
			f.close()
			n, got := <-written, <-answers
			lost := 0
			for id := range n {
				if !got[fmt.Sprintf(tt.want, id)] {
					lost++
				}
			}
			if lost > 0 {
				t.Errorf("%d of %d requests got no answer", lost, n)
			}
		})
	}
}

// A line that is too long costs the connection, not the answers to it and to what is behind it.
func TestLongLineHidesNothing(t *testing.T) {
	f, auths := newSocketFixture(t, Config{Protocol: Login})
	client := f.connect()
	defer (<-auths).Close()
	long := "AUTH\t2\t" + strings.Repeat("x", 2*maxLine) + "\n"
	requests := "AUTH\t1\tPLAIN\n" + long + "AUTH\t3\tPLAIN\nAUTH\t4\tPL"
	if _, err := io.WriteString(client, requests); err != nil {
		t.Fatal(err)
	}
	want := []string{"FAIL\t1\tcode=temp_fail", "FAIL\t2\tcode=temp_fail",
		"FAIL\t3\tcode=temp_fail", "FAIL\t4\tcode=temp_fail"}
	if diff := cmp.Diff(want, sortedLines(t, client)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// Lines of one id that wait each have an answer when the door stops, and so has one without end.
func TestCloseAnswersEachLineOfAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Config{Protocol: Authreply})
		f.director.hold("slow")
		c := f.talk()
		c.send(
			"OK\t1\tuser=slow\tproxy\nOK\t1\tuser=slow\tproxy\nOK\t\tuser=slow\tproxy\nOK\t2\tus")
		synctest.Wait()
		go f.server.Close()
		var got []string
		for range 4 {
			line, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatalf("%q, then %v", got, err)
			}
			got = append(got, line)
		}
		slices.Sort(got)
		want := []string{"FAIL\t\tcode=temp_fail\n", "FAIL\t1\tcode=temp_fail\n",
			"FAIL\t1\tcode=temp_fail\n", "FAIL\t2\tcode=temp_fail\n"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		c.expectEnd()
	})
}

// A client that has hung up does not keep its place for ever, nor the door from stopping.
func TestHangUpEnds(t *testing.T) {
	tests := []struct {
		name string
		stop bool
		most time.Duration
	}{
		{"auth never answers", false, lookupTime},
		{"the door stops", true, drainTime + closeTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, Config{Protocol: Login})
				client := f.client()
				auth := f.auth()
				client.send("AUTH\t1\tPLAIN\n")
				auth.expect("AUTH\t1\tPLAIN\n")
				client.Close()
				synctest.Wait()
				began := time.Now()
				if tt.stop {
					go f.server.Close()
				}
				auth.expectEnd()
				if took := time.Since(began); took > tt.most {
					t.Errorf("took %v, want %v at most", took, tt.most)
				}
			})
		})
	}
}
