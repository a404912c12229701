// Command director runs and steers the directors of a mail cluster; package cli has its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"directormesh/cli"
)

// version is set by the linker (-X main.version=…) where the build knows it.
var version string

func main() {
	os.Exit(run())
}

func run() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return cli.Main(context.Background(), os.Args, cli.IO{
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		LookupEnv: os.LookupEnv,
		Location:  time.Local,
		Resolve:   cli.SystemResolve,
		Root:      os.Geteuid() == 0,
		Become:    cli.SystemBecome,
		Version:   versionText(),
		// Programs that this one starts get the signal as ever: handlers are not inherited.
		LetPipesBreak: func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) },
		ForbidCores:   forbidCores,
		Signals:       signals,
	})
}

// forbidCores sets the limit of core files to 0, for this process and those that it starts.
func forbidCores() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	limit.Cur = 0
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
}

// versionText is the version that the linker set, else the one that the Go tool recorded.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "unreleased"
	}
	return info.Main.Version
}
