package dovecot

import (
	"strings"
	"testing"

	"directormesh/cli/dovecot/tabbed"
)

func FuzzIPCList(f *testing.F) {
	f.Add("username\tservice\tsrc-ip\tdest-ip\tdest-port\nzoe\timap\t127.0.0.1\t192.0.2.1\t143")
	f.Add("username\tuser_a\tservice\tsrc-ip\tdest-ip\tdest-port\n\x01\t\timap\t::1\t\t")
	f.Add("zoe\nusername\tdest-ip\nusername\tx")
	f.Fuzz(func(t *testing.T, text string) {
		var list ipcList
		lines := strings.Split(text, "\n")
		for _, line := range lines {
			bytes := []byte(line)
			err := list.add(bytes)
			clear(bytes) // the next line comes into the same memory
			if err != nil {
				break
			}
		}
		if len(list.connections) > len(lines) {
			t.Errorf("%d connections from %d lines", len(list.connections), len(lines))
		}
		for _, c := range list.connections {
			if !strings.Contains(tabbed.Unescape(text), c.User) {
				t.Errorf("user %q", c.User)
			}
			for _, field := range c.Fields {
				if !strings.HasPrefix(field.Name, fieldPrefix) || field.Value == "" {
					t.Errorf("field %+v", field)
				}
			}
		}
	})
}

func FuzzAnvilList(f *testing.F) {
	f.Add("user_a", "77\talice\timap-login\t127.0.0.1\t00\t192.0.2.1\tx")
	f.Add("", "77\talice\timap-login\t127.0.0.1\t00\t192.0.2.1\tx\ty")
	f.Add("user_a\tuser_b", "-1\t\t\t\t\t\n")
	f.Fuzz(func(t *testing.T, head, line string) {
		list := anvilList{names: tabbed.Fields(head)}
		bytes := []byte(line)
		err := list.add(bytes)
		clear(bytes)
		for _, c := range list.connections {
			if c.User != tabbed.Fields(line)[1] {
				t.Errorf("%q: user %q", line, c.User)
			}
			if err != nil || !c.Backend.IsValid() || c.PID < 0 || len(c.Fields) > len(list.names) {
				t.Errorf("%q, %q: connection %+v, error %v", head, line, c, err)
			}
		}
	})
}
