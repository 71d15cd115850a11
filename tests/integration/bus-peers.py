#!/usr/bin/python3
"""What a desktop and a machine have on their buses, as far as the program asks them: on a real bus, which is $1's.

Usage: bus-peers.py ADDRESS LOG ROLE...

ROLE is `notifications` (org.freedesktop.Notifications), `silent` (the same, but never answers), `logind` (its Inhibit())
or `metered=N` (NetworkManager's property). LOG gets a JSON object for each thing that happens, and first one that says
that all names are taken.
"""
import json
import os
import sys
import time

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NOTIFICATIONS, LOGIND, NETWORK = (
    "org.freedesktop.Notifications", "org.freedesktop.login1", "org.freedesktop.NetworkManager")


def write(**what):
    with open(sys.argv[2], "a", encoding="utf-8") as log:
        print(json.dumps({**what, "at": time.monotonic()}), file=log, flush=True)


class Notifications(dbus.service.Object):
    silent = False

    @dbus.service.method(NOTIFICATIONS, in_signature="susssasa{sv}i", out_signature="u",
                         async_callbacks=("answer", "refuse"))
    def Notify(self, app, replaces, icon, summary, body, actions, hints, timeout, answer, refuse):
        write(event="notify", app=app, icon=icon, summary=summary, body=body, urgency=int(hints["urgency"]),
              entry=hints["desktop-entry"], actions=list(actions), timeout=int(timeout))
        if not self.silent:
            answer(dbus.UInt32(1))


class Logind(dbus.service.Object):
    @dbus.service.method(LOGIND + ".Manager", in_signature="ssss", out_signature="h")
    def Inhibit(self, what, who, why, mode):
        write(event="inhibit", what=what, who=who, why=why, mode=mode)
        ours, theirs = os.pipe()
        GLib.io_add_watch(ours, GLib.IO_HUP, self.release)
        handed = dbus.types.UnixFd(theirs)
        os.close(theirs)
        return handed

    @staticmethod
    def release(ours, condition):
        write(event="release")
        os.close(ours)
        return False


class Network(dbus.service.Object):
    metered = 0

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        write(event="get", interface=interface, name=name)
        return dbus.UInt32(self.metered)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    names = []
    for role in sys.argv[3:]:
        if role in ("notifications", "silent"):
            names.append(dbus.service.BusName(NOTIFICATIONS, bus))
            Notifications(bus, "/org/freedesktop/Notifications").silent = role == "silent"
        elif role == "logind":
            names.append(dbus.service.BusName(LOGIND, bus))
            Logind(bus, "/org/freedesktop/login1")
        else:
            names.append(dbus.service.BusName(NETWORK, bus))
            Network(bus, "/org/freedesktop/NetworkManager").metered = int(role.split("=")[1])
    write(event="ready")
    GLib.MainLoop().run()


main()
