//go:build scale

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"

	"directormesh/cli"
)

// debugSocket is where a director of ours answers questions that no other one does.
const debugSocket = "SCALE_DEBUG_SOCKET"

// serve runs a director, as the program does, with the debug socket.
func serve(socket string) int {
	l, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/memory", memory)
	mux.HandleFunc("/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	defer func() { _ = server.Close(); <-done }()

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return cli.Main(context.Background(), os.Args, cli.IO{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
		Location: time.Local,
		Resolve:  cli.SystemResolve, Version: "scale", Signals: signals,
	})
}

// memoryUse is what a director's process uses.
type memoryUse struct {
	Before    int64 // resident, before anything is done about it
	Resident  int64 // after a collection, freed pages given back
	Anonymous int64 // of that what is no part of the program's file
	Heap      uint64
	Stack     uint64
	System    uint64        // of the Go runtime's own
	Cycles    uint32        // collections so far
	Paused    time.Duration // by them, in all
	Longest   time.Duration // at most this by one of them at once
	GCPart    float64       // of the processor time
}

func memory(w http.ResponseWriter, _ *http.Request) {
	u := memoryUse{Before: resident(os.Getpid())}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Cycles, u.Paused, u.GCPart = m.NumGC, time.Duration(m.PauseTotalNs), m.GCCPUFraction
	u.Longest = longestPause()
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	u.Resident = resident(os.Getpid())
	u.Anonymous = anonymous(os.Getpid())
	u.Heap = m.HeapAlloc
	u.Stack = m.StackInuse
	u.System = m.GCSys + m.OtherSys + m.MSpanInuse + m.MCacheInuse + m.BuckHashSys
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(u) // the reader notices
}

// longestPause is how long the garbage collector has stopped all goroutines at most so far, rounded
// up as the runtime counts pauses.
func longestPause() time.Duration {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > 0 {
			return time.Duration(h.Buckets[i+1] * 1e9)
		}
	}
	return 0
}
