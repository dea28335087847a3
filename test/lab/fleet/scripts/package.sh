# a package: a command that says what it is, and some weight, so that closures differ in size
mkdir -p $out/bin
printf '#!/bin/sh\necho %s %s\n' $pname $version >$out/bin/lab-$pname
chmod +x $out/bin/lab-$pname
n=$(echo $version | tr -dc 0-9 | tail -c 3)
head -c $((16384 + ${n#0} * 64)) /dev/zero >$out/weight
