# shellcheck shell=bash
# what the hosts hold: done once for what lies on the disk, at each boot for what does not

seed_host() { :; }
