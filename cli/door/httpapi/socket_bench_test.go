package httpapi_test

import (
	"net"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/load"
)

func TestMain(m *testing.M) {
	os.Exit(doortest.Main(m, func(l net.Listener) error {
		server, err := httpapi.New(httpapi.Config{Director: httpapitest.Sample(), Log: zerolog.Nop()})
		if err != nil {
			return err
		}
		return server.Serve(l)
	}))
}

// BenchmarkSocket is what POST /v1/lookup costs without a director behind it.
func BenchmarkSocket(b *testing.B) { doortest.Lookups(b, load.DoorHTTP, 1, 16) }
