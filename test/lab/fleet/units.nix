# The units a system can have. What a change of the payload does to each:
# lab-web stopped and started, lab-reload reloaded, lab-keep left alone, lab-worker not touched.
{ payload, fails }:
let
  service = { description, env ? "", extra ? "" }: ''
    [Unit]
    Description=${description}
    ${extra}

    [Service]
    ${env}
    ExecStart=${if fails then "/bin/false" else "/bin/sleep infinity"}
    ExecReload=/bin/true

    [Install]
    WantedBy=multi-user.target
  '';
  changing = "Environment=PAYLOAD=${payload}";
in
{
  lab-web = { "lab-web.service" = service { description = "A service that a new configuration restarts"; env = changing; }; };
  lab-worker = { "lab-worker.service" = service { description = "A service that never changes"; }; };
  lab-keep = { "lab-keep.service" = service { description = "A service that must not be restarted"; env = changing; extra = "X-RestartIfChanged=false"; }; };
  lab-reload = { "lab-reload.service" = service { description = "A service that is reloaded"; env = changing; extra = "X-ReloadIfChanged=true"; }; };
  lab-old = { "lab-old.service" = service { description = "A service that newer configurations dropped"; }; };
  lab-new = { "lab-new.service" = service { description = "A service that the newest configuration brought"; }; };
  lab-tick = {
    "lab-tick.service" = ''
      [Unit]
      Description=A job on a timer

      [Service]
      Type=oneshot
      ExecStart=/bin/true
    '';
    "lab-tick.timer" = ''
      [Unit]
      Description=Run the job on a timer

      [Timer]
      OnCalendar=hourly

      [Install]
      WantedBy=timers.target
    '';
  };
}
