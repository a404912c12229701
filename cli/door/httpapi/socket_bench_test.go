package httpapi_test

import (
	"net"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/doortest"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/load"
	"directormesh/ring"
)

func TestMain(m *testing.M) {
	os.Exit(doortest.Main(m, func() (func(net.Listener) error, error) {
		d := httpapitest.Sample()
		d.TryLookupIs = func(ring.Tag, ring.UserHash) (api.IP, bool) {
			return httpapitest.IP("192.0.2.1"), true
		}
		server, err := httpapi.New(httpapi.Config{Director: d, Log: zerolog.Nop()})
		if err != nil {
			return nil, err
		}
		return server.Serve, nil
	}))
}

// BenchmarkSocket is what POST /v1/lookup costs without a director behind it.
func BenchmarkSocket(b *testing.B) { doortest.Lookups(b, load.DoorHTTP, 1, 16) }
