package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/authrelay"
	"directormesh/cli/door/doortest"
	"directormesh/cli/load"
	"directormesh/mesh"
	"directormesh/ring"
)

func TestMain(m *testing.M) { os.Exit(doortest.Main(m, prepareAuthreply)) }

// BenchmarkAuthreply is what pipelined lookups of known users cost at a door with a director behind
// it. It knows a million of them, or as many as DIRECTORMESH_MAPPINGS says; a run of more
// lookups than that asks for new ones in the end.
func BenchmarkAuthreply(b *testing.B) { doortest.Lookups(b, load.DoorAuthreply, 1, 200) }

// prepareAuthreply starts a director that knows its users.
func prepareAuthreply() (func(net.Listener) error, error) {
	users := 1_000_000
	if text := os.Getenv("DIRECTORMESH_MAPPINGS"); text != "" {
		var err error
		if users, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("DIRECTORMESH_MAPPINGS=%q: not a number of users", text)
		}
	}
	cfg := mesh.Config{
		Name: "d1", Mesh: "bench", Bind: netip.MustParseAddrPort("127.0.0.1:0"), HashFormat: "%Lu",
		Expire: 15 * time.Minute, Log: zerolog.Nop(),
	}
	for i := range 50 {
		cfg.Backends = append(cfg.Backends, ring.Backend{
			Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), VHosts: ring.DefaultVHosts,
		})
	}
	node, err := mesh.New(cfg)
	if err != nil {
		return nil, err
	}
	var format ring.HashFormat
	for i := range users {
		if _, err := node.Lookup(context.Background(), "",
			format.Hash(fmt.Sprintf("user%d@example.org", i))); err != nil {
			return nil, err
		}
	}
	server, err := authrelay.New(authrelay.Config{
		Protocol:     authrelay.Authreply,
		Director:     &authDirector{Node: node, names: hostNames{backends: node.Backends}},
		ProxyRefresh: cfg.Expire / 2, Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	return server.Serve, nil
}
