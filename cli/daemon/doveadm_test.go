package daemon

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/cli/door/doveadm"
	"directormesh/cli/handover"
	"directormesh/cli/logtest"
	"directormesh/mesh/replica"
)

// doveadm is answered on a socket of its own, with its mode, and on a loopback port; without a path
// there is none.
func TestAdminDoor(t *testing.T) {
	port := freeAddr(t)
	options := testOptions(t, map[string]string{"admin-socket-mode": "0640", "admin-tcp": port})
	start(t, options, nil)
	for _, addr := range []string{options.Socket(handover.Admin), port} {
		c, err := doveadm.Dial(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if backends, err := c.Backends(); err != nil || len(backends) != 2 {
			t.Errorf("%s: %v, %v", addr, backends, err)
		}
	}
	info, err := os.Stat(options.Socket(handover.Admin))
	if err != nil || info.Mode().Perm() != 0o640 || filepath.Base(info.Name()) != "director-admin" {
		t.Errorf("%v, %v", info, err)
	}

	none := testOptions(t, map[string]string{"admin-socket": ""})
	start(t, none, nil)
	socket := filepath.Join(none.RunDir, "director-admin")
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a path: %v", err)
	}
}

// freeAddr returns an address where nobody listens: of an IP that no other test uses, as the kernel
// may give its port away again.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.63.4:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A port that somebody else has is named with its setting.
func TestAdminPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = New(Config{
		Options:   testOptions(t, map[string]string{"admin-tcp": l.Addr().String()}),
		LogOutput: new(logtest.Buffer),
	})
	if err == nil || !strings.HasPrefix(err.Error(), "admin-tcp: "+l.Addr().String()+" is in use") {
		t.Errorf("%v", err)
	}
}

// What counts of an imported mapping is when it ends: the activity is counted back by our expire
// time.
func TestImportMappings(t *testing.T) {
	expires := wallTime(at).Add(10 * time.Minute)
	d := testDirector(t, &fakeNode{})
	want := replica.Import{Mappings: []replica.ImportedMapping{
		{Tag: "x", Hash: 7, Backend: addr1, Activity: at.Add(-5 * time.Minute)},
		{Hash: 8, Backend: addr2, Activity: at.Add(-15 * time.Minute)},
	}}
	got, err := d.operation(api.ImportMappings{Mappings: []api.ImportedMapping{
		{Tag: "x", UserHash: 7, Backend: api.IP{Addr: addr1}, ExpiresAt: expires},
		{UserHash: 8, Backend: api.IP{Addr: addr2}, ExpiresAt: wallTime(at)},
	}})
	if diff := cmp.Diff(replica.Operation(want), got, equalIP); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
}
