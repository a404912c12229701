package doctor

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"directormesh/cli/program"
)

// doveconfTime bounds one question to doveconf.
const doveconfTime = 2 * time.Second

// Doveconf asks the Dovecot of this host, if there is one.
func Doveconf(ctx context.Context, setting string, filter ...string) string {
	path, err := exec.LookPath("doveconf")
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, doveconfTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(filter, setting)...)
	cmd.Env = program.Environment(os.LookupEnv)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "" // that it cannot tell is no fault of the settings here
	}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, " = "); ok && name == setting {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
