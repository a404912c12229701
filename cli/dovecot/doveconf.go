package dovecot

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"directormesh/cli/program"
)

// doveconfTime bounds one question to doveconf.
const doveconfTime = 10 * time.Second

// Doveconf asks the Dovecot of this host for one of its settings, as the filter (arguments of
// doveconf) narrows it; "" if there is no doveconf in an absolute folder of PATH, or it cannot
// tell, which is no fault of the settings here.
func Doveconf(
	ctx context.Context, lookupEnv func(string) (string, bool), setting string, filter ...string,
) string {
	path, _ := lookupEnv("PATH")
	for _, dir := range filepath.SplitList(path) {
		doveconf, err := exec.LookPath(filepath.Join(dir, "doveconf"))
		if err == nil && filepath.IsAbs(doveconf) {
			return askDoveconf(ctx, lookupEnv, doveconf, setting, filter)
		}
	}
	return ""
}

func askDoveconf(
	ctx context.Context, lookupEnv func(string) (string, bool), doveconf, setting string,
	filter []string,
) string {
	ctx, cancel := context.WithTimeout(ctx, doveconfTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, doveconf, append(filter, setting)...)
	cmd.Env = program.Environment(lookupEnv)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, " = "); ok && name == setting {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
