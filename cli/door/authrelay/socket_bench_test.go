package authrelay

import (
	"net"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/cli/load"
)

func TestMain(m *testing.M) {
	os.Exit(doortest.Main(m, func() (func(net.Listener) error, error) {
		server, err := New(Config{
			Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(),
			ProxyRefresh: 450e9,
		})
		if err != nil {
			return nil, err
		}
		return server.Serve, nil
	}))
}

// BenchmarkSocket is what the door costs without a director behind it.
func BenchmarkSocket(b *testing.B) { doortest.Lookups(b, load.DoorAuthreply, 1, 16, 200) }
