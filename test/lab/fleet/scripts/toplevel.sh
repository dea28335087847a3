mkdir -p $out/bin $out/specialisation
printf '%s' $version >$out/nixos-version
printf '%s' x86_64-linux >$out/system
printf '%s' "systemd $initInterface" >$out/init-interface-version
printf '%s' "loglevel=4" >$out/kernel-params
[ -z "$revision" ] || printf '%s' $revision >$out/configuration-revision
[ -z "$cuts" ] || : >$out/cuts-network
printf '%s' $bootLimit >$out/boot-limit
printf '%s' $slow >$out/slow
ln -s $kernelPackage/bzImage $out/kernel
ln -s $initrd/initrd $out/initrd
ln -s $modules $out/kernel-modules
ln -s $systemdPackage $out/systemd
ln -s $path $out/sw
ln -s $etc/etc $out/etc
printf '#!/bin/sh\nexec /lib/systemd/systemd "$@"\n' >$out/init
for f in switch=bin/switch-to-configuration activate=activate bootLoader=bin/install-boot-loader; do
  eval "sed 's|@out@|$out|' \$${f%%=*}" >$out/${f#*=}
done
chmod +x $out/init $out/activate $out/bin/*
sp=
for s in $specialisations; do
  ln -s ${s#*=} $out/specialisation/${s%%=*}
  sp=$sp,'"'${s%%=*}'":'$(cat ${s#*=}/boot.json)
done
cat >$out/boot.json <<J
{"org.nixos.bootspec.v1":{"init":"$out/init","initrd":"$initrd/initrd","kernel":"$kernelPackage/bzImage","kernelParams":["loglevel=4"],"label":"NixOS Warbler $version (Linux $kernel)","system":"x86_64-linux","toplevel":"$out"},"org.nixos.specialisation.v1":{${sp#,}}}
J
