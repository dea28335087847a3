package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"github.com/sextant-fleet/sextant/fleet"
)

// options are the global flags.
type options struct {
	config   string
	socket   string
	json     bool
	plain    bool
	readOnly bool
	timeout  time.Duration
	verbose  bool

	interactive bool // a screen will be open: a person can be asked
}

// usable are the flags' environment variables.
const (
	envSocket   = "SEXTANT_TAILSCALE_SOCKET"
	envReadOnly = "SEXTANT_READ_ONLY"
)

func rootCommand() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:   "sextant",
		Short: "A terminal UI for fleets of NixOS machines",
		Long: "Without arguments: the terminal UI. It finds hosts through Tailscale, ~/.ssh/config and its configuration, " +
			"and shows their containers, generations, backups and metrics over one SSH connection each.",
		RunE: func(cmd *cobra.Command, _ []string) error { return failed(runUI(cmd.Context(), o)) },
	}
	f := root.PersistentFlags()
	f.StringVar(&o.config, "config", "", "configuration file (SEXTANT_CONFIG)")
	f.StringVar(&o.socket, "tailscale-socket", os.Getenv(envSocket), "tailscaled's socket ("+envSocket+")")
	f.BoolVar(&o.json, "json", false, "machine output")
	f.BoolVar(&o.plain, "plain", false, "no colour, no boxes, one fact a line")
	f.BoolVar(&o.readOnly, "read-only", os.Getenv(envReadOnly) != "", "nothing that changes a host can be done ("+envReadOnly+")")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long hosts may take to answer")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell what is done, on standard error")
	root.AddCommand(
		statusCommand(&o), healthCommand(&o), hostsCommand(&o),
		generationsCommand(&o), diffCommand(&o), driftCommand(&o),
		containersCommand(&o), containerCommand(&o), podsCommand(&o), networksCommand(&o), volumesCommand(&o), imagesCommand(&o), imageCommand(&o),
		unitsCommand(&o), timersCommand(&o), unitCommand(&o),
		backupsCommand(&o), backupCommand(&o),
		sitesCommand(&o), publicCommand(&o), servicesCommand(&o), listensCommand(&o), exposureCommand(&o), networkCommand(&o), traceCommand(&o), tailnetCommand(&o), dnsCommand(&o),
		secretsCommand(&o),
		metricsCommand(&o), alarmsCommand(&o),
		deployCommand(&o), rollbackCommand(&o), deploysCommand(&o), historyCommand(&o), attachCommand(&o), confirmCommand(&o), cancelCommand(&o), extendCommand(&o), rebootCommand(&o), pauseCommand(&o), resumeCommand(&o),
		garbageCommand(&o), logsCommand(&o), sshCommand(&o), execCommand(&o), socketCommand(&o), demoCommand(&o),
	)
	instruct(root)
	root.SetFlagErrorFunc(knownFlag)
	return root
}

// tell prints an error the way people read it; the code says the rest.
func tell(w io.Writer, styles fang.Styles, err error) {
	var exit exitCode
	if errors.As(err, &exit) {
		return
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) && os.Getenv("NO_COLOR") == "" {
		fang.DefaultErrorHandler(w, styles, errors.New(fleet.InFull(err)))
		return
	}
	fmt.Fprintln(w, "sextant: "+fleet.InFull(err))
}
