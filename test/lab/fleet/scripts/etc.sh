# etc/systemd/system: unit files, and the links that make targets want them
s=$out/etc/systemd/system
mkdir -p $s
echo $host >$out/etc/hostname
for u in $units; do
  n=${u%%=*}
  ln -s ${u#*=} $s/$n
  for t in $(sed -n 's/^WantedBy=//p' ${u#*=}); do
    mkdir -p $s/$t.wants
    ln -s ../$n $s/$t.wants/$n
  done
done
