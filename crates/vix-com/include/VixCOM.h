/*
 * VixCOM.h: the COM interface of VIX for C++.
 *
 * Order and types of the methods are those that clients of VixCOM 1.8 are compiled against; what each does is what the
 * function of its name in vix.h does. VixCOM.idl says the same, and a test compares them.
 *
 * A program that has no other place for the identifiers includes <initguid.h> before this, in one of its files.
 */
#ifndef VIXCOM_H
#define VIXCOM_H

#include <oaidl.h>

#ifndef __cplusplus
#error "VixCOM.h is for C++"
#endif

DEFINE_GUID(LIBID_VixCOM, 0x7a474ee3, 0x0062, 0x4239, 0xae, 0x91, 0x13, 0x4a, 0xc9, 0xbd, 0x5f, 0xd3);
DEFINE_GUID(CLSID_VixLib, 0x6874e949, 0x7186, 0x4308, 0xa1, 0xb9, 0xd5, 0x5a, 0x91, 0xf6, 0x07, 0x28);
DEFINE_GUID(IID_IVixLib, 0x94eaa428, 0x2460, 0x470d, 0x8f, 0x66, 0x2a, 0x42, 0x70, 0xaf, 0xf2, 0x0a);
DEFINE_GUID(IID_IVixHandle, 0x70aed194, 0x6cfa, 0x4ba3, 0x8e, 0x63, 0xd3, 0x2a, 0x35, 0x73, 0xa1, 0x71);
DEFINE_GUID(IID_IVixHandle2, 0x2f5a88e5, 0xe1be, 0x4d51, 0x92, 0x40, 0x2f, 0xa3, 0x9a, 0x69, 0x60, 0x6f);
DEFINE_GUID(IID_ICallback, 0x82bf64c6, 0xe21c, 0x4b78, 0x96, 0x65, 0x69, 0x33, 0xe7, 0x67, 0xb4, 0x30);
DEFINE_GUID(IID_IJob, 0x77a6b455, 0xc303, 0x4b67, 0x81, 0x0d, 0xb9, 0xe6, 0x07, 0x7e, 0x75, 0xae);
DEFINE_GUID(IID_ISnapshot, 0x89db37b8, 0xce29, 0x4b14, 0xaa, 0x05, 0x6d, 0x5a, 0xea, 0xbe, 0x2f, 0xb0);
DEFINE_GUID(IID_IHost, 0x1305925c, 0xb00e, 0x443a, 0xbb, 0x13, 0x61, 0xd0, 0x6c, 0xbd, 0xab, 0x97);
DEFINE_GUID(IID_IHost2, 0x320645ad, 0xdcb7, 0x4843, 0x86, 0xd4, 0xab, 0xe1, 0x5b, 0xe5, 0xce, 0xda);
DEFINE_GUID(IID_IVM, 0x11e879b1, 0x7969, 0x4654, 0xbe, 0x4b, 0x3f, 0x05, 0x67, 0x9f, 0x74, 0x2e);
DEFINE_GUID(IID_IVM2, 0xf1d44d76, 0x784d, 0x44ff, 0x8f, 0xea, 0xd3, 0x5a, 0x15, 0x48, 0x25, 0xa0);

/* HRESULT of a VIX error where a method has no other way to tell it. */
#define VIXCOM_E_VIX_ERROR ((HRESULT)0x80040200L)

/* constants: begin, written by `cargo xtask headers` from crates/vix/constants.tsv */

/* The handle that stands for nothing. */
enum {
    /* The null handle, also passed where an optional handle argument is left out */
    VIX_INVALID_HANDLE = 0
};

/* Types of handles: VixHandleType. */
enum {
    /* No live handle */
    VIX_HANDLETYPE_NONE = 0,
    /* A connection to a host */
    VIX_HANDLETYPE_HOST = 2,
    /* A virtual machine */
    VIX_HANDLETYPE_VM = 3,
    /* Reserved: no public call hands out a network */
    VIX_HANDLETYPE_NETWORK = 5,
    /* A job that runs or has run */
    VIX_HANDLETYPE_JOB = 6,
    /* A snapshot of a VM */
    VIX_HANDLETYPE_SNAPSHOT = 7,
    /* A list of properties: extra arguments, or what an event tells */
    VIX_HANDLETYPE_PROPERTY_LIST = 9,
    /* Reserved: no public call hands out a metadata container */
    VIX_HANDLETYPE_METADATA_CONTAINER = 11
};

/* Codes of errors: VixError. */
enum {
    /* The operation was successful */
    VIX_OK = 0,
    /* The operation failed for a reason that has no code of its own */
    VIX_E_FAIL = 1,
    /* There is not enough memory for the operation */
    VIX_E_OUT_OF_MEMORY = 2,
    /* An argument has a value that is not allowed */
    VIX_E_INVALID_ARG = 3,
    /* There is no such file */
    VIX_E_FILE_NOT_FOUND = 4,
    /* Another operation is using the object */
    VIX_E_OBJECT_IS_BUSY = 5,
    /* This operation is not supported */
    VIX_E_NOT_SUPPORTED = 6,
    /* A file could not be read or written */
    VIX_E_FILE_ERROR = 7,
    /* There is no space left on the file system */
    VIX_E_DISK_FULL = 8,
    /* The file is not of the kind that is needed here */
    VIX_E_INCORRECT_FILE_TYPE = 9,
    /* The operation was stopped on request */
    VIX_E_CANCELLED = 10,
    /* The file is write protected */
    VIX_E_FILE_READ_ONLY = 11,
    /* There is already a file or folder of this name */
    VIX_E_FILE_ALREADY_EXISTS = 12,
    /* You have no permission to use the file */
    VIX_E_FILE_ACCESS_ERROR = 13,
    /* The file system cannot hold a file this large */
    VIX_E_REQUIRES_LARGE_FILES = 14,
    /* The file is locked by another program */
    VIX_E_FILE_ALREADY_LOCKED = 15,
    /* The database of running virtual machines failed */
    VIX_E_VMDB = 16,
    /* This works on objects of this computer only */
    VIX_E_NOT_SUPPORTED_ON_REMOTE_OBJECT = 20,
    /* The file is larger than its limit */
    VIX_E_FILE_TOO_BIG = 21,
    /* The file name is not valid */
    VIX_E_FILE_NAME_INVALID = 22,
    /* There is already an object of this name */
    VIX_E_ALREADY_EXISTS = 23,
    /* The buffer given is too small for the result */
    VIX_E_BUFFER_TOOSMALL = 24,
    /* There is no object of this name */
    VIX_E_OBJECT_NOT_FOUND = 25,
    /* The host handle is not connected to a host */
    VIX_E_HOST_NOT_CONNECTED = 26,
    /* A text argument is not valid UTF-8 */
    VIX_E_INVALID_UTF8_STRING = 27,
    /* The job has not finished yet */
    VIX_E_UNFINISHED_JOB = 29,
    /* An encryption key is needed */
    VIX_E_NEED_KEY = 30,
    /* The same operation is already under way */
    VIX_E_OPERATION_ALREADY_IN_PROGRESS = 31,
    /* No licence allows this operation */
    VIX_E_LICENSE = 32,
    /* The host of this virtual machine is disconnected (vix.h 1.7) */
    VIX_E_VM_HOST_DISCONNECTED = 34,
    /* The host did not accept the user name and password (vix.h 1.7) */
    VIX_E_AUTHENTICATION_FAIL = 35,
    /* The connection to the host was lost (vix.h 1.7) */
    VIX_E_HOST_CONNECTION_LOST = 36,
    /* The handle does not stand for a live object */
    VIX_E_INVALID_HANDLE = 1000,
    /* The handle is of a type that this call does not take */
    VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE = 1001,
    /* No more handles can be made */
    VIX_E_TOO_MANY_HANDLES = 1002,
    /* The item was not found */
    VIX_E_NOT_FOUND = 2000,
    /* The value is of another type than expected */
    VIX_E_TYPE_MISMATCH = 2001,
    /* The XML text could not be understood */
    VIX_E_INVALID_XML = 2002,
    /* The guest tools did not start in time */
    VIX_E_TIMEOUT_WAITING_FOR_TOOLS = 3000,
    /* The virtual machine's process does not know this command */
    VIX_E_UNRECOGNIZED_COMMAND = 3001,
    /* The guest operating system cannot do this */
    VIX_E_OP_NOT_SUPPORTED_ON_GUEST = 3003,
    /* The program could not be started in the guest */
    VIX_E_PROGRAM_NOT_STARTED = 3004,
    /* A read-only virtual machine cannot be powered on */
    VIX_E_CANNOT_START_READ_ONLY_VM = 3005,
    /* The virtual machine needs to be powered on for this */
    VIX_E_VM_NOT_RUNNING = 3006,
    /* The virtual machine or the snapshot needs to be powered off for this */
    VIX_E_VM_IS_RUNNING = 3007,
    /* The virtual machine's process cannot be reached */
    VIX_E_CANNOT_CONNECT_TO_VM = 3008,
    /* The power scripts of the guest tools are not ready yet */
    VIX_E_POWEROP_SCRIPTS_NOT_AVAILABLE = 3009,
    /* No operating system was found in the virtual machine */
    VIX_E_NO_GUEST_OS_INSTALLED = 3010,
    /* The host has too little memory to power on the virtual machine */
    VIX_E_VM_INSUFFICIENT_HOST_MEMORY = 3011,
    /* The virtual machine could not be suspended */
    VIX_E_SUSPEND_ERROR = 3012,
    /* The host has fewer CPUs than the virtual machine needs */
    VIX_E_VM_NOT_ENOUGH_CPUS = 3013,
    /* You lack the permission for this on the host */
    VIX_E_HOST_USER_PERMISSIONS = 3014,
    /* The user lacks the permission for this in the guest */
    VIX_E_GUEST_USER_PERMISSIONS = 3015,
    /* The guest tools are not running */
    VIX_E_TOOLS_NOT_RUNNING = 3016,
    /* Guest operations are turned off for this virtual machine */
    VIX_E_GUEST_OPERATIONS_PROHIBITED = 3017,
    /* Guest operations of anonymous users are turned off */
    VIX_E_ANON_GUEST_OPERATIONS_PROHIBITED = 3018,
    /* Guest operations of administrators are turned off */
    VIX_E_ROOT_GUEST_OPERATIONS_PROHIBITED = 3019,
    /* The guest has no account for anonymous users */
    VIX_E_MISSING_ANON_GUEST_ACCOUNT = 3023,
    /* The guest did not accept the user name and password */
    VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST = 3024,
    /* The guest tools do not know this command */
    VIX_E_UNRECOGNIZED_COMMAND_IN_GUEST = 3025,
    /* Guest operations of the console user are turned off */
    VIX_E_CONSOLE_GUEST_OPERATIONS_PROHIBITED = 3026,
    /* Only the user at the guest's console may do this */
    VIX_E_MUST_BE_CONSOLE_USER = 3027,
    /* The virtual machine asked a question and nobody can answer it */
    VIX_E_VMX_MSG_DIALOG_AND_NO_UI = 3028,
    /* This is not allowed while the virtual machine is being recorded (vix.h 1.6, gone in 1.11) */
    VIX_E_NOT_ALLOWED_DURING_VM_RECORDING = 3029,
    /* This is not allowed while a recording is being replayed (vix.h 1.6, gone in 1.11) */
    VIX_E_NOT_ALLOWED_DURING_VM_REPLAY = 3030,
    /* This kind of guest login does not allow the operation */
    VIX_E_OPERATION_NOT_ALLOWED_FOR_LOGIN_TYPE = 3031,
    /* This kind of guest login is not supported */
    VIX_E_LOGIN_TYPE_NOT_SUPPORTED = 3032,
    /* The guest does not accept empty passwords */
    VIX_E_EMPTY_PASSWORD_NOT_ALLOWED_IN_GUEST = 3033,
    /* Nobody is logged in at the guest's console */
    VIX_E_INTERACTIVE_SESSION_NOT_PRESENT = 3034,
    /* Another user is logged in at the guest's console */
    VIX_E_INTERACTIVE_SESSION_USER_MISMATCH = 3035,
    /* The recording cannot be replayed (vix.h 1.6, gone in 1.11) */
    VIX_E_UNABLE_TO_REPLAY_VM = 3039,
    /* The virtual machine could not be powered on */
    VIX_E_CANNOT_POWER_ON_VM = 3041,
    /* There is no display on which to show a window */
    VIX_E_NO_DISPLAY_SERVER = 3043,
    /* The virtual machine is not being recorded (vix.h 1.6, gone in 1.11) */
    VIX_E_VM_NOT_RECORDING = 3044,
    /* The virtual machine is not replaying a recording (vix.h 1.6, gone in 1.11) */
    VIX_E_VM_NOT_REPLAYING = 3045,
    /* There is no such virtual machine */
    VIX_E_VM_NOT_FOUND = 4000,
    /* The hardware version of the virtual machine does not allow this */
    VIX_E_NOT_SUPPORTED_FOR_VM_VERSION = 4001,
    /* The virtual machine's configuration file cannot be read */
    VIX_E_CANNOT_READ_VM_CONFIG = 4002,
    /* The virtual machine is a template, which may not be changed or run */
    VIX_E_TEMPLATE_VM = 4003,
    /* The virtual machine is already loaded */
    VIX_E_VM_ALREADY_LOADED = 4004,
    /* The virtual machine already has the newest hardware version */
    VIX_E_VM_ALREADY_UP_TO_DATE = 4006,
    /* The virtual machine's guest operating system type is not supported (vix.h 1.7) */
    VIX_E_VM_UNSUPPORTED_GUEST = 4011,
    /* The object has no such property */
    VIX_E_UNRECOGNIZED_PROPERTY = 6000,
    /* The property cannot have this value */
    VIX_E_INVALID_PROPERTY_VALUE = 6001,
    /* The property can only be read */
    VIX_E_READ_ONLY_PROPERTY = 6002,
    /* A property that is needed was not given */
    VIX_E_MISSING_REQUIRED_PROPERTY = 6003,
    /* The stored properties are damaged */
    VIX_E_INVALID_SERIALIZED_DATA = 6004,
    /* There is no virtual machine of this number */
    VIX_E_BAD_VM_INDEX = 8000,
    /* The head of a protocol message is damaged */
    VIX_E_INVALID_MESSAGE_HEADER = 10000,
    /* The body of a protocol message is damaged */
    VIX_E_INVALID_MESSAGE_BODY = 10001,
    /* The snapshot cannot be used for this */
    VIX_E_SNAPSHOT_INVAL = 13000,
    /* The virtual machine's memory could not be saved or restored */
    VIX_E_SNAPSHOT_DUMPER = 13001,
    /* A disk failed while the snapshots were being changed */
    VIX_E_SNAPSHOT_DISKLIB = 13002,
    /* There is no such snapshot */
    VIX_E_SNAPSHOT_NOTFOUND = 13003,
    /* There is already such a snapshot */
    VIX_E_SNAPSHOT_EXISTS = 13004,
    /* The snapshot file is of a version that is not supported */
    VIX_E_SNAPSHOT_VERSION = 13005,
    /* You lack the permission to change snapshots */
    VIX_E_SNAPSHOT_NOPERM = 13006,
    /* The virtual machine's configuration does not allow snapshots */
    VIX_E_SNAPSHOT_CONFIG = 13007,
    /* Nothing has changed since the last snapshot */
    VIX_E_SNAPSHOT_NOCHANGE = 13008,
    /* The running state could not be saved for the snapshot */
    VIX_E_SNAPSHOT_CHECKPOINT = 13009,
    /* The snapshot is locked, for example by a linked clone that stands on it */
    VIX_E_SNAPSHOT_LOCKED = 13010,
    /* The snapshot's files do not agree with each other */
    VIX_E_SNAPSHOT_INCONSISTENT = 13011,
    /* The snapshot's name is too long */
    VIX_E_SNAPSHOT_NAMETOOLONG = 13012,
    /* The file that lists the snapshots is faulty */
    VIX_E_SNAPSHOT_VIXFILE = 13013,
    /* A disk of the snapshot is locked */
    VIX_E_SNAPSHOT_DISKLOCKED = 13014,
    /* The virtual machine holds the same disk twice */
    VIX_E_SNAPSHOT_DUPLICATEDDISK = 13015,
    /* An independent disk does not allow the snapshot */
    VIX_E_SNAPSHOT_INDEPENDENTDISK = 13016,
    /* Several snapshots have this name */
    VIX_E_SNAPSHOT_NONUNIQUE_NAME = 13017,
    /* Memory cannot be saved with a virtual machine that has an independent disk */
    VIX_E_SNAPSHOT_MEMORY_ON_INDEPENDENT_DISK = 13018,
    /* The virtual machine has as many snapshots as it may have */
    VIX_E_SNAPSHOT_MAXSNAPSHOTS = 13019,
    /* There is too little free space for a snapshot */
    VIX_E_SNAPSHOT_MIN_FREE_SPACE = 13020,
    /* The snapshots follow each other too deeply (vix.h 1.7) */
    VIX_E_SNAPSHOT_HIERARCHY_TOODEEP = 13021,
    /* A value for the host's disk is out of range */
    VIX_E_HOST_DISK_INVALID_VALUE = 14003,
    /* The host's disk has a sector size that is not supported */
    VIX_E_HOST_DISK_SECTORSIZE = 14004,
    /* A file on the host ended too early */
    VIX_E_HOST_FILE_ERROR_EOF = 14005,
    /* The network disk did not greet as expected */
    VIX_E_HOST_NETBLKDEV_HANDSHAKE = 14006,
    /* A network socket could not be made */
    VIX_E_HOST_SOCKET_CREATION_ERROR = 14007,
    /* The server's name is not known to the network */
    VIX_E_HOST_SERVER_NOT_FOUND = 14008,
    /* The server refused the connection */
    VIX_E_HOST_NETWORK_CONN_REFUSED = 14009,
    /* A network socket failed */
    VIX_E_HOST_TCP_SOCKET_ERROR = 14010,
    /* The network connection was lost */
    VIX_E_HOST_TCP_CONN_LOST = 14011,
    /* The hash file of the network disk does not fit its volume */
    VIX_E_HOST_NBD_HASHFILE_VOLUME = 14012,
    /* The hash file of the network disk could not be set up */
    VIX_E_HOST_NBD_HASHFILE_INIT = 14013,
    /* An argument of a disk operation is not valid */
    VIX_E_DISK_INVAL = 16000,
    /* The disk library has not been started */
    VIX_E_DISK_NOINIT = 16001,
    /* The disk could not be read or written */
    VIX_E_DISK_NOIO = 16002,
    /* Some of the disks below this one are missing */
    VIX_E_DISK_PARTIALCHAIN = 16003,
    /* The disk is damaged and must be repaired first */
    VIX_E_DISK_NEEDSREPAIR = 16006,
    /* The place asked for lies outside the disk */
    VIX_E_DISK_OUTOFRANGE = 16007,
    /* The parent disk was changed after its child was made */
    VIX_E_DISK_CID_MISMATCH = 16008,
    /* The disk cannot be shrunk */
    VIX_E_DISK_CANTSHRINK = 16009,
    /* The partitions of the physical disk have changed */
    VIX_E_DISK_PARTMISMATCH = 16010,
    /* The disk's format version is not supported */
    VIX_E_DISK_UNSUPPORTEDDISKVERSION = 16011,
    /* The parent disk could not be opened */
    VIX_E_DISK_OPENPARENT = 16012,
    /* The disk does not support this */
    VIX_E_DISK_NOTSUPPORTED = 16013,
    /* The disk is encrypted and needs a key */
    VIX_E_DISK_NEEDKEY = 16014,
    /* The disk's key may not be replaced */
    VIX_E_DISK_NOKEYOVERRIDE = 16015,
    /* The disk is not encrypted */
    VIX_E_DISK_NOTENCRYPTED = 16016,
    /* No key was given for the disk */
    VIX_E_DISK_NOKEY = 16017,
    /* The disk's partition table is not valid */
    VIX_E_DISK_INVALIDPARTITIONTABLE = 16018,
    /* Only a disk with an ordinary descriptor can be used here */
    VIX_E_DISK_NOTNORMAL = 16019,
    /* The disk's descriptor is not encrypted */
    VIX_E_DISK_NOTENCDESC = 16020,
    /* A disk of this type must lie on a VMFS volume */
    VIX_E_DISK_NEEDVMFS = 16022,
    /* The physical disk is too large */
    VIX_E_DISK_RAWTOOBIG = 16024,
    /* Too many files are open to open the disk */
    VIX_E_DISK_TOOMANYOPENFILES = 16027,
    /* Too many disks stand on each other */
    VIX_E_DISK_TOOMANYREDO = 16028,
    /* The physical disk is too small */
    VIX_E_DISK_RAWTOOSMALL = 16029,
    /* The disk and its parents do not fit together */
    VIX_E_DISK_INVALIDCHAIN = 16030,
    /* The disk's notes have no entry of this name */
    VIX_E_DISK_KEY_NOTFOUND = 16052,
    /* The disk service could not be started */
    VIX_E_DISK_SUBSYSTEM_INIT_FAIL = 16053,
    /* The connection to the disk is not valid */
    VIX_E_DISK_INVALID_CONNECTION = 16054,
    /* The disk's descriptor uses an encoding that cannot be read */
    VIX_E_DISK_ENCODING = 16061,
    /* The disk cannot be repaired */
    VIX_E_DISK_CANTREPAIR = 16062,
    /* The file is not a valid virtual disk */
    VIX_E_DISK_INVALIDDISK = 16063,
    /* No licence allows this disk operation */
    VIX_E_DISK_NOLICENSE = 16064,
    /* The disk's device is missing */
    VIX_E_DISK_NODEVICE = 16065,
    /* The disk's device is not supported */
    VIX_E_DISK_UNSUPPORTEDDEVICE = 16066,
    /* The encryption method is not known */
    VIX_E_CRYPTO_UNKNOWN_ALGORITHM = 17000,
    /* The data has a length that the encryption method does not take */
    VIX_E_CRYPTO_BAD_BUFFER_SIZE = 17001,
    /* Encryption does not allow this operation */
    VIX_E_CRYPTO_INVALID_OPERATION = 17002,
    /* The source of random numbers cannot be used */
    VIX_E_CRYPTO_RANDOM_DEVICE = 17003,
    /* The virtual machine is encrypted and needs a password */
    VIX_E_CRYPTO_NEED_PASSWORD = 17004,
    /* The password is wrong */
    VIX_E_CRYPTO_BAD_PASSWORD = 17005,
    /* The encryption dictionary has no such key */
    VIX_E_CRYPTO_NOT_IN_DICTIONARY = 17006,
    /* The object is not encrypted */
    VIX_E_CRYPTO_NO_CRYPTO = 17007,
    /* Encrypting or decrypting failed */
    VIX_E_CRYPTO_ERROR = 17008,
    /* The encrypted data is damaged */
    VIX_E_CRYPTO_BAD_FORMAT = 17009,
    /* The key safe is locked */
    VIX_E_CRYPTO_LOCKED = 17010,
    /* The key safe is empty */
    VIX_E_CRYPTO_EMPTY = 17011,
    /* The place given for the key safe is not valid */
    VIX_E_CRYPTO_KEYSAFE_LOCATOR = 17012,
    /* The host cannot be reached */
    VIX_E_CANNOT_CONNECT_TO_HOST = 18000,
    /* This is possible on the local host only */
    VIX_E_NOT_FOR_REMOTE_HOST = 18001,
    /* The host name is not valid */
    VIX_E_INVALID_HOSTNAME_SPECIFICATION = 18002,
    /* The picture of the screen could not be taken */
    VIX_E_SCREEN_CAPTURE_ERROR = 19000,
    /* The picture format is not known */
    VIX_E_SCREEN_CAPTURE_BAD_FORMAT = 19001,
    /* The picture of the screen could not be compressed */
    VIX_E_SCREEN_CAPTURE_COMPRESSION_FAIL = 19002,
    /* The picture of the screen is too large */
    VIX_E_SCREEN_CAPTURE_LARGE_DATA = 19003,
    /* The guest's file systems could not be brought to rest */
    VIX_E_GUEST_VOLUMES_NOT_FROZEN = 20000,
    /* The path does not name a regular file */
    VIX_E_NOT_A_FILE = 20001,
    /* The path does not name a directory */
    VIX_E_NOT_A_DIRECTORY = 20002,
    /* There is no such process in the guest */
    VIX_E_NO_SUCH_PROCESS = 20003,
    /* The file name is too long */
    VIX_E_FILE_NAME_TOO_LONG = 20004,
    /* There is no disc image of guest tools for this guest */
    VIX_E_TOOLS_INSTALL_NO_IMAGE = 21000,
    /* The disc image of the guest tools cannot be read */
    VIX_E_TOOLS_INSTALL_IMAGE_INACCESIBLE = 21001,
    /* The virtual machine has no CD drive for the guest tools */
    VIX_E_TOOLS_INSTALL_NO_DEVICE = 21002,
    /* The virtual machine's CD drive is not connected */
    VIX_E_TOOLS_INSTALL_DEVICE_NOT_CONNECTED = 21003,
    /* The installation of the guest tools was stopped on request */
    VIX_E_TOOLS_INSTALL_CANCELLED = 21004,
    /* The installation of the guest tools could not start */
    VIX_E_TOOLS_INSTALL_INIT_FAILED = 21005,
    /* The guest tools of this guest cannot be upgraded unattended */
    VIX_E_TOOLS_INSTALL_AUTO_NOT_SUPPORTED = 21006,
    /* The guest is not ready to install the guest tools */
    VIX_E_TOOLS_INSTALL_GUEST_NOT_READY = 21007,
    /* The signature of the guest tools' disc image is not right */
    VIX_E_TOOLS_INSTALL_SIG_CHECK_FAILED = 21008,
    /* The guest tools could not be installed */
    VIX_E_TOOLS_INSTALL_ERROR = 21009,
    /* The guest tools are already the newest */
    VIX_E_TOOLS_INSTALL_ALREADY_UP_TO_DATE = 21010,
    /* The guest tools are already being installed */
    VIX_E_TOOLS_INSTALL_IN_PROGRESS = 21011,
    /* Workstation is not installed */
    VIX_E_WRAPPER_WORKSTATION_NOT_INSTALLED = 22001,
    /* No library for the wanted version of the programming interface was found */
    VIX_E_WRAPPER_VERSION_NOT_FOUND = 22002,
    /* No library for the wanted kind of host was found */
    VIX_E_WRAPPER_SERVICEPROVIDER_NOT_FOUND = 22003,
    /* Player is not installed */
    VIX_E_WRAPPER_PLAYER_NOT_INSTALLED = 22004,
    /* Mounting a disk: the mount point is missing */
    VIX_E_MNTAPI_MOUNTPT_NOT_FOUND = 24000,
    /* Mounting a disk: the mount point is in use */
    VIX_E_MNTAPI_MOUNTPT_IN_USE = 24001,
    /* Mounting a disk: there is no such disk */
    VIX_E_MNTAPI_DISK_NOT_FOUND = 24002,
    /* Mounting a disk: the disk is not mounted */
    VIX_E_MNTAPI_DISK_NOT_MOUNTED = 24003,
    /* Mounting a disk: the disk is already mounted */
    VIX_E_MNTAPI_DISK_IS_MOUNTED = 24004,
    /* Mounting a disk: this disk is not safe to mount */
    VIX_E_MNTAPI_DISK_NOT_SAFE = 24005,
    /* Mounting a disk: the disk cannot be opened */
    VIX_E_MNTAPI_DISK_CANT_OPEN = 24006,
    /* Mounting a disk: its partitions cannot be read */
    VIX_E_MNTAPI_CANT_READ_PARTS = 24007,
    /* Mounting a disk: the program that unmounts is missing */
    VIX_E_MNTAPI_UMOUNT_APP_NOT_FOUND = 24008,
    /* Mounting a disk: unmounting failed */
    VIX_E_MNTAPI_UMOUNT = 24009,
    /* Mounting a disk: it has no partition that can be mounted */
    VIX_E_MNTAPI_NO_MOUNTABLE_PARTITONS = 24010,
    /* Mounting a disk: it has no partition of this number */
    VIX_E_MNTAPI_PARTITION_RANGE = 24011,
    /* Mounting a disk: you lack the permission */
    VIX_E_MNTAPI_PERM = 24012,
    /* Mounting a disk: the list of mounted disks cannot be used */
    VIX_E_MNTAPI_DICT = 24013,
    /* Mounting a disk: the list of mounted disks is locked */
    VIX_E_MNTAPI_DICT_LOCKED = 24014,
    /* Mounting a disk: some of its handles are still open */
    VIX_E_MNTAPI_OPEN_HANDLES = 24015,
    /* Mounting a disk: its working folder cannot be made */
    VIX_E_MNTAPI_CANT_MAKE_VAR_DIR = 24016,
    /* Mounting a disk: only root may do this */
    VIX_E_MNTAPI_NO_ROOT = 24017,
    /* Mounting a disk: the loop device failed */
    VIX_E_MNTAPI_LOOP_FAILED = 24018,
    /* Mounting a disk: the background program failed */
    VIX_E_MNTAPI_DAEMON = 24019,
    /* Mounting a disk: an internal fault */
    VIX_E_MNTAPI_INTERNAL = 24020,
    /* Mounting a disk: a system call failed */
    VIX_E_MNTAPI_SYSTEM = 24021,
    /* Mounting a disk: how to reach it was not said */
    VIX_E_MNTAPI_NO_CONNECTION_DETAILS = 24022,
    /* Mounting a disk: the parts are of versions that do not fit together */
    VIX_E_MNTAPI_INCOMPATIBLE_VERSION = 24300,
    /* Mounting a disk: the operating system reported a fault */
    VIX_E_MNTAPI_OS_ERROR = 24301,
    /* Mounting a disk: the drive letter is taken */
    VIX_E_MNTAPI_DRIVE_LETTER_IN_USE = 24302,
    /* Mounting a disk: the volume already has a drive letter */
    VIX_E_MNTAPI_DRIVE_LETTER_ALREADY_ASSIGNED = 24303,
    /* Mounting a disk: the volume is not mounted */
    VIX_E_MNTAPI_VOLUME_NOT_MOUNTED = 24304,
    /* Mounting a disk: the volume is already mounted */
    VIX_E_MNTAPI_VOLUME_ALREADY_MOUNTED = 24305,
    /* Mounting a disk: formatting failed */
    VIX_E_MNTAPI_FORMAT_FAILURE = 24306,
    /* Mounting a disk: the driver is missing */
    VIX_E_MNTAPI_NO_DRIVER = 24307,
    /* Mounting a disk: the volume or file is already open */
    VIX_E_MNTAPI_ALREADY_OPENED = 24308,
    /* Mounting a disk: the item was not found on it */
    VIX_E_MNTAPI_ITEM_NOT_FOUND = 24309,
    /* Mounting a disk: its boot loader is not supported */
    VIX_E_MNTAPI_UNSUPPROTED_BOOT_LOADER = 24310,
    /* Mounting a disk: the operating system on it is not supported */
    VIX_E_MNTAPI_UNSUPPROTED_OS = 24311,
    /* Mounting a disk: a text could not be converted */
    VIX_E_MNTAPI_CODECONVERSION = 24312,
    /* Mounting a disk: its registry could not be written */
    VIX_E_MNTAPI_REGWRITE_ERROR = 24313,
    /* Mounting a disk: its fault-tolerant volumes are not supported */
    VIX_E_MNTAPI_UNSUPPORTED_FT_VOLUME = 24314,
    /* Mounting a disk: the partition was not found */
    VIX_E_MNTAPI_PARTITION_NOT_FOUND = 24315,
    /* Mounting a disk: a file could not be written to it */
    VIX_E_MNTAPI_PUTFILE_ERROR = 24316,
    /* Mounting a disk: a file could not be read from it */
    VIX_E_MNTAPI_GETFILE_ERROR = 24317,
    /* Mounting a disk: its registry is not open */
    VIX_E_MNTAPI_REG_NOT_OPENED = 24318,
    /* Mounting a disk: a registry key could not be deleted */
    VIX_E_MNTAPI_REGDELKEY_ERROR = 24319,
    /* Mounting a disk: no partition table could be made */
    VIX_E_MNTAPI_CREATE_PARTITIONTABLE_ERROR = 24320,
    /* Mounting a disk: the volume could not be opened */
    VIX_E_MNTAPI_OPEN_FAILURE = 24321,
    /* Mounting a disk: the volume cannot be written */
    VIX_E_MNTAPI_VOLUME_NOT_WRITABLE = 24322
};

/* Types of properties: VixPropertyType. */
enum {
    /* No type, or any type */
    VIX_PROPERTYTYPE_ANY = 0,
    /* A 32-bit int */
    VIX_PROPERTYTYPE_INTEGER = 1,
    /* A UTF-8 string; the caller owns the buffer after reading */
    VIX_PROPERTYTYPE_STRING = 2,
    /* A Bool, one byte */
    VIX_PROPERTYTYPE_BOOL = 3,
    /* A VixHandle */
    VIX_PROPERTYTYPE_HANDLE = 4,
    /* A 64-bit int */
    VIX_PROPERTYTYPE_INT64 = 5,
    /* A block of bytes, passed as its size and then its address */
    VIX_PROPERTYTYPE_BLOB = 6
};

/* Properties: VixPropertyID. */
enum {
    /* Ends every list of properties in a call of variable length */
    VIX_PROPERTY_NONE = 0,
    /* Metadata of the object, reserved */
    VIX_PROPERTY_META_DATA_CONTAINER = 2,
    /* Kind of host, VIX_SERVICEPROVIDER_* */
    VIX_PROPERTY_HOST_HOSTTYPE = 50,
    /* Version of the programming interface that the host offers */
    VIX_PROPERTY_HOST_API_VERSION = 51,
    /* Number of virtual CPUs */
    VIX_PROPERTY_VM_NUM_VCPUS = 101,
    /* Path of the configuration file */
    VIX_PROPERTY_VM_VMX_PATHNAME = 103,
    /* Path of the team's file, empty without a team */
    VIX_PROPERTY_VM_VMTEAM_PATHNAME = 105,
    /* Memory in MB */
    VIX_PROPERTY_VM_MEMORY_SIZE = 106,
    /* Whether the VM can only be read */
    VIX_PROPERTY_VM_READ_ONLY = 107,
    /* Name that is shown for the VM (vix.h 1.8) */
    VIX_PROPERTY_VM_NAME = 108,
    /* Guest operating system, by the identifier that the configuration file uses (vix.h 1.8) */
    VIX_PROPERTY_VM_GUESTOS = 109,
    /* Whether the VM belongs to a team */
    VIX_PROPERTY_VM_IN_VMTEAM = 128,
    /* Power state, bits of VIX_POWERSTATE_* */
    VIX_PROPERTY_VM_POWER_STATE = 129,
    /* State of the guest tools, VIX_TOOLSSTATE_*; valid after waiting for them */
    VIX_PROPERTY_VM_TOOLS_STATE = 152,
    /* Whether the VM is powered on */
    VIX_PROPERTY_VM_IS_RUNNING = 196,
    /* What the VM supports, bits of VIX_VM_SUPPORT_* */
    VIX_PROPERTY_VM_SUPPORTED_FEATURES = 197,
    /* Whether the VM is being recorded (vix.h 1.6, gone in 1.11) */
    VIX_PROPERTY_VM_IS_RECORDING = 236,
    /* Whether the VM replays a recording (vix.h 1.6, gone in 1.11) */
    VIX_PROPERTY_VM_IS_REPLAYING = 237,
    /* Error of the job, a VixError */
    VIX_PROPERTY_JOB_RESULT_ERROR_CODE = 3000,
    /* Group that the VM belongs to */
    VIX_PROPERTY_JOB_RESULT_VM_IN_GROUP = 3001,
    /* Message of the job for the user */
    VIX_PROPERTY_JOB_RESULT_USER_MESSAGE = 3002,
    /* Exit code of the job's program */
    VIX_PROPERTY_JOB_RESULT_EXIT_CODE = 3004,
    /* Output of the job's program */
    VIX_PROPERTY_JOB_RESULT_COMMAND_OUTPUT = 3005,
    /* Host, VM or snapshot that the job made */
    VIX_PROPERTY_JOB_RESULT_HANDLE = 3010,
    /* Whether the guest has the file or directory */
    VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS = 3011,
    /* How long the guest program ran, in seconds */
    VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_ELAPSED_TIME = 3017,
    /* Exit code of the guest program */
    VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE = 3018,
    /* Name of the file, process or shared folder */
    VIX_PROPERTY_JOB_RESULT_ITEM_NAME = 3035,
    /* Description of what was found */
    VIX_PROPERTY_JOB_RESULT_FOUND_ITEM_DESCRIPTION = 3036,
    /* Number of shared folders */
    VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_COUNT = 3046,
    /* Path of the shared folder on the host */
    VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_HOST = 3048,
    /* Options of the shared folder, bits of VIX_SHAREDFOLDER_* */
    VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS = 3049,
    /* Number of the process */
    VIX_PROPERTY_JOB_RESULT_PROCESS_ID = 3051,
    /* User who owns the process */
    VIX_PROPERTY_JOB_RESULT_PROCESS_OWNER = 3052,
    /* Command line of the process */
    VIX_PROPERTY_JOB_RESULT_PROCESS_COMMAND = 3053,
    /* Kind of the file, bits of VIX_FILE_ATTRIBUTES_* */
    VIX_PROPERTY_JOB_RESULT_FILE_FLAGS = 3054,
    /* When the process was started, in seconds since 1970 */
    VIX_PROPERTY_JOB_RESULT_PROCESS_START_TIME = 3055,
    /* Value of the variable that was read */
    VIX_PROPERTY_JOB_RESULT_VM_VARIABLE_STRING = 3056,
    /* Whether the process runs under a debugger (Windows guests) */
    VIX_PROPERTY_JOB_RESULT_PROCESS_BEING_DEBUGGED = 3057,
    /* Size of the picture in bytes */
    VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_SIZE = 3058,
    /* The picture */
    VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA = 3059,
    /* Size of the file in bytes, 0 for a directory */
    VIX_PROPERTY_JOB_RESULT_FILE_SIZE = 3061,
    /* When the file was last changed, in seconds since 1970 */
    VIX_PROPERTY_JOB_RESULT_FILE_MOD_TIME = 3062,
    /* Path of a VM that FindItems found */
    VIX_PROPERTY_FOUND_ITEM_LOCATION = 4010,
    /* Name of the snapshot */
    VIX_PROPERTY_SNAPSHOT_DISPLAYNAME = 4200,
    /* Description of the snapshot */
    VIX_PROPERTY_SNAPSHOT_DESCRIPTION = 4201,
    /* Power state that the snapshot holds, bits of VIX_POWERSTATE_* */
    VIX_PROPERTY_SNAPSHOT_POWERSTATE = 4205,
    /* Whether the snapshot holds a recording (vix.h 1.6, gone in 1.11) */
    VIX_PROPERTY_SNAPSHOT_IS_REPLAYABLE = 4207,
    /* Guest directory that holds the shared folders; needs the guest tools */
    VIX_PROPERTY_GUEST_SHAREDFOLDERS_SHARES_PATH = 4525,
    /* Password with which to open an encrypted VM */
    VIX_PROPERTY_VM_ENCRYPTION_PASSWORD = 7001
};

/* Events: VixEventType. */
enum {
    /* The job has ended, well or not; comes once and last */
    VIX_EVENTTYPE_JOB_COMPLETED = 2,
    /* The job has got further */
    VIX_EVENTTYPE_JOB_PROGRESS = 3,
    /* VixHost_FindItems has found one VM */
    VIX_EVENTTYPE_FIND_ITEM = 8,
    /* Old name of VIX_EVENTTYPE_JOB_COMPLETED */
    VIX_EVENTTYPE_CALLBACK_SIGNALLED = 2
};

/* Kinds of files in a guest. */
enum {
    /* The guest's path is a directory */
    VIX_FILE_ATTRIBUTES_DIRECTORY = 1,
    /* The guest's path is a symbolic link */
    VIX_FILE_ATTRIBUTES_SYMLINK = 2
};

/* Options of VixHost_Connect: VixHostOptions. */
enum {
    /* Run jobs and callbacks inside Vix_PumpEvents only (vix.h 1.6, gone in 1.11) */
    VIX_HOSTOPTION_USE_EVENT_PUMP = 8
};

/* Kinds of hosts: VixServiceProvider. */
enum {
    /* The kind that this library prefers */
    VIX_SERVICEPROVIDER_DEFAULT = 1,
    /* VMware Server 1.x */
    VIX_SERVICEPROVIDER_VMWARE_SERVER = 2,
    /* VMware Workstation or Fusion */
    VIX_SERVICEPROVIDER_VMWARE_WORKSTATION = 3,
    /* VMware Player */
    VIX_SERVICEPROVIDER_VMWARE_PLAYER = 4,
    /* Server products: vCenter, ESX, ESXi, VMware Server 2.0 */
    VIX_SERVICEPROVIDER_VMWARE_VI_SERVER = 10
};
#define VIX_SERVICEPROVIDER_DEFAULT VIX_SERVICEPROVIDER_DEFAULT
#define VIX_SERVICEPROVIDER_VMWARE_SERVER VIX_SERVICEPROVIDER_VMWARE_SERVER
#define VIX_SERVICEPROVIDER_VMWARE_WORKSTATION VIX_SERVICEPROVIDER_VMWARE_WORKSTATION
#define VIX_SERVICEPROVIDER_VMWARE_PLAYER VIX_SERVICEPROVIDER_VMWARE_PLAYER
#define VIX_SERVICEPROVIDER_VMWARE_VI_SERVER VIX_SERVICEPROVIDER_VMWARE_VI_SERVER

/* Versions of the interface. */
enum {
    /* The newest version of the programming interface that the host offers */
    VIX_API_VERSION = -1
};

/* What VixHost_FindItems looks for: VixFindItemType. */
enum {
    /* VMs that are powered on */
    VIX_FIND_RUNNING_VMS = 1,
    /* VMs in the host's inventory */
    VIX_FIND_REGISTERED_VMS = 4
};

/* Options of VixHost_OpenVM: VixVMOpenOptions. */
enum {
    /* Open as usual: the only option */
    VIX_VMOPEN_NORMAL = 0
};

/* Options of Vix_PumpEvents: VixPumpEventsOptions. */
enum {
    /* No option: the only choice (vix.h 1.6, gone in 1.11) */
    VIX_PUMPEVENTOPTION_NONE = 0
};

/* Options of the power functions: VixVMPowerOpOptions. */
enum {
    /* Change the power as a switch does, without the guest's help */
    VIX_VMPOWEROP_NORMAL = 0,
    /* Let the guest shut down, restart or sleep; needs the guest tools */
    VIX_VMPOWEROP_FROM_GUEST = 4,
    /* Leave the VM off after a revert; alone of all power options */
    VIX_VMPOWEROP_SUPPRESS_SNAPSHOT_POWERON = 128,
    /* Show the VM in a window */
    VIX_VMPOWEROP_LAUNCH_GUI = 512,
    /* Power on and pause at once */
    VIX_VMPOWEROP_START_VM_PAUSED = 4096
};

/* Options of VixVM_Delete: VixVMDeleteOptions. */
enum {
    /* Delete the virtual disks too */
    VIX_VMDELETE_DISK_FILES = 2
};

/* Bits of a power state: VixPowerState. Others may be set too. */
enum {
    /* Being powered off */
    VIX_POWERSTATE_POWERING_OFF = 1,
    /* Powered off */
    VIX_POWERSTATE_POWERED_OFF = 2,
    /* Being powered on */
    VIX_POWERSTATE_POWERING_ON = 4,
    /* Powered on */
    VIX_POWERSTATE_POWERED_ON = 8,
    /* Being suspended */
    VIX_POWERSTATE_SUSPENDING = 16,
    /* Suspended */
    VIX_POWERSTATE_SUSPENDED = 32,
    /* The guest tools run; set together with VIX_POWERSTATE_POWERED_ON */
    VIX_POWERSTATE_TOOLS_RUNNING = 64,
    /* Being reset */
    VIX_POWERSTATE_RESETTING = 128,
    /* Waiting for the answer to a question */
    VIX_POWERSTATE_BLOCKED_ON_MSG = 256,
    /* Paused; set together with VIX_POWERSTATE_POWERED_ON */
    VIX_POWERSTATE_PAUSED = 512,
    /* Being resumed */
    VIX_POWERSTATE_RESUMING = 2048
};

/* States of the guest tools: VixToolsState. */
enum {
    /* Not known, because the VM is off or nobody has asked */
    VIX_TOOLSSTATE_UNKNOWN = 1,
    /* The guest tools run */
    VIX_TOOLSSTATE_RUNNING = 2,
    /* The guest tools are not installed */
    VIX_TOOLSSTATE_NOT_INSTALLED = 4
};

/* What a VM supports: bits. */
enum {
    /* The VM can have shared folders */
    VIX_VM_SUPPORT_SHARED_FOLDERS = 1,
    /* The VM can have several snapshots */
    VIX_VM_SUPPORT_MULTIPLE_SNAPSHOTS = 2,
    /* The guest tools can be installed */
    VIX_VM_SUPPORT_TOOLS_INSTALL = 4,
    /* The virtual hardware can be upgraded */
    VIX_VM_SUPPORT_HARDWARE_UPGRADE = 8
};

/* Options of VixVM_LoginInGuest. */
enum {
    /* Work in the session of the user at the guest's console */
    VIX_LOGIN_IN_GUEST_REQUIRE_INTERACTIVE_ENVIRONMENT = 8
};

/* Options for programs in the guest: VixRunProgramOptions. */
enum {
    /* Complete when the program has started */
    VIX_RUNPROGRAM_RETURN_IMMEDIATELY = 1,
    /* Show the program's window in front (Windows guests) */
    VIX_RUNPROGRAM_ACTIVATE_WINDOW = 2
};

/* Kinds of variables. */
enum {
    /* A variable that lives as long as the VM runs (guestinfo) */
    VIX_VM_GUEST_VARIABLE = 1,
    /* An entry of the configuration; what is written is not kept in the file */
    VIX_VM_CONFIG_RUNTIME_ONLY = 2,
    /* An environment variable of the guest; needs a login */
    VIX_GUEST_ENVIRONMENT_VARIABLE = 3
};

/* Options of VixVM_RemoveSnapshot: VixRemoveSnapshotOptions. */
enum {
    /* Remove all snapshots below it too */
    VIX_SNAPSHOT_REMOVE_CHILDREN = 1
};

/* Options of VixVM_CreateSnapshot: VixCreateSnapshotOptions. */
enum {
    /* Save the memory of a running VM too */
    VIX_SNAPSHOT_INCLUDE_MEMORY = 2
};

/* Options of shared folders: VixMsgSharedFolderOptions. */
enum {
    /* The guest may write */
    VIX_SHAREDFOLDER_WRITE_ACCESS = 4
};

/* Formats of pictures. */
enum {
    /* A PNG picture */
    VIX_CAPTURESCREENFORMAT_PNG = 1,
    /* A PNG picture that is not compressed */
    VIX_CAPTURESCREENFORMAT_PNG_NOCOMPRESS = 2
};

/* Types of clones: VixCloneType. */
enum {
    /* A copy of its own */
    VIX_CLONETYPE_FULL = 0,
    /* A copy that stands on the disks of one of the parent's snapshots */
    VIX_CLONETYPE_LINKED = 1
};

/* Options of VixVM_InstallTools. */
enum {
    /* Put the disc of the guest tools into the drive */
    VIX_INSTALLTOOLS_MOUNT_TOOLS_INSTALLER = 0,
    /* Upgrade the guest tools unattended */
    VIX_INSTALLTOOLS_AUTO_UPGRADE = 1,
    /* Complete when the disc is in the drive */
    VIX_INSTALLTOOLS_RETURN_IMMEDIATELY = 2
};

/* constants: end */

struct IVixHandle;
struct ICallback;
struct IJob;
struct ISnapshot;

/* The class that clients create: VixCOM.VixLib. */
class DECLSPEC_UUID("6874E949-7186-4308-A1B9-D55A91F60728") VixLib;

/* The library: connecting, and what errors mean. */
MIDL_INTERFACE("94EAA428-2460-470D-8F66-2A4270AFF20A")
IVixLib : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE Connect(
        LONG apiVersion,
        LONG hostType,
        BSTR hostName,
        LONG hostPort,
        BSTR userName,
        BSTR password,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **connectJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetErrorText(ULONGLONG err, BSTR locale, BSTR *errorString) = 0;
    virtual HRESULT STDMETHODCALLTYPE ErrorCode(ULONGLONG err, SHORT *errorCode) = 0;
    virtual HRESULT STDMETHODCALLTYPE ErrorIndicatesSuccess(ULONGLONG err, VARIANT_BOOL *isSuccess) = 0;
    virtual HRESULT STDMETHODCALLTYPE ErrorIndicatesFailure(ULONGLONG err, VARIANT_BOOL *isFailure) = 0;
};

/* Any object: its type and its properties. */
MIDL_INTERFACE("70AED194-6CFA-4BA3-8E63-D32A3573A171")
IVixHandle : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE GetHandleType(LONG *handleType) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetProperties(
        VARIANT propertyIDs,
        VARIANT *propertiesArray,
        ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetPropertyType(
        LONG propertyID,
        LONG *propertyType,
        ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE Equals(IVixHandle *handle, VARIANT_BOOL *isEqual) = 0;
};

/* Any object: its end, before the last reference to it goes. */
MIDL_INTERFACE("2F5A88E5-E1BE-4D51-9240-2FA39A69606F")
IVixHandle2 : public IVixHandle
{
    virtual HRESULT STDMETHODCALLTYPE Close() = 0;
};

/* What a client implements to be told of a job's events. */
MIDL_INTERFACE("82BF64C6-E21C-4B78-9665-6933E767B430")
ICallback : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE OnVixEvent(IJob *job, LONG eventType, IVixHandle *moreEventInfo) = 0;
};

/* An operation that was started. */
MIDL_INTERFACE("77A6B455-C303-4B67-810D-B9E6077E75AE")
IJob : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE Wait(
        VARIANT propertyIDs,
        VARIANT *propertiesArray,
        ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE WaitWithoutResults(ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE CheckCompletion(VARIANT_BOOL *isComplete, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetError(ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetNumProperties(LONG resultPropertyID, LONG *numProperties) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetNthProperties(
        LONG index,
        VARIANT propertyIDs,
        VARIANT *propertiesArray,
        ULONGLONG *error) = 0;
};

/* A snapshot of a VM, in its tree. */
MIDL_INTERFACE("89DB37B8-CE29-4B14-AA05-6D5AEABE2FB0")
ISnapshot : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE GetNumChildren(LONG *numChildSnapshots, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetChild(LONG index, ISnapshot **childSnapshot, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetParent(ISnapshot **parentSnapshot, ULONGLONG *error) = 0;
};

/* A host of VMs. */
MIDL_INTERFACE("1305925C-B00E-443A-BB13-61D06CBDAB97")
IHost : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE OpenVM(
        BSTR vmxFilePath,
        ICallback *jobDoneCallback,
        IJob **openJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Disconnect() = 0;
    virtual HRESULT STDMETHODCALLTYPE RegisterVM(
        BSTR vmxFilePath,
        ICallback *jobDoneCallback,
        IJob **registerJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE UnregisterVM(
        BSTR vmxFilePath,
        ICallback *jobDoneCallback,
        IJob **unregisterJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE FindItems(
        LONG searchType,
        IVixHandle *searchCriteria,
        LONG timeout,
        ICallback *jobDoneCallback,
        IJob **findJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE PumpEvents(LONG options) = 0;
};

/* A host of VMs: opening with options. */
MIDL_INTERFACE("320645AD-DCB7-4843-86D4-ABE15BE5CEDA")
IHost2 : public IHost
{
    virtual HRESULT STDMETHODCALLTYPE OpenVMEx(
        BSTR vmxFilePath,
        LONG openVMOptions,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **openJob) = 0;
};

/* A VM. */
MIDL_INTERFACE("11E879B1-7969-4654-BE4B-3F05679F742E")
IVM : public IDispatch
{
    virtual HRESULT STDMETHODCALLTYPE PowerOn(
        LONG powerOnOptions,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **powerJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE PowerOff(
        LONG powerOffOptions,
        ICallback *jobDoneCallback,
        IJob **powerJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Reset(
        LONG resetOptions,
        ICallback *jobDoneCallback,
        IJob **resetJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Suspend(
        LONG suspendOptions,
        ICallback *jobDoneCallback,
        IJob **suspendJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Delete(
        LONG deleteOptions,
        ICallback *jobDoneCallback,
        IJob **deleteJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE WaitForToolsInGuest(
        LONG timeoutInSeconds,
        ICallback *jobDoneCallback,
        IJob **waitJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE LoginInGuest(
        BSTR userName,
        BSTR password,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **loginJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE LogoutFromGuest(ICallback *jobDoneCallback, IJob **logoutJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE RunProgramInGuest(
        BSTR guestProgramName,
        BSTR commandLineArgs,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **runJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE ListProcessesInGuest(
        LONG options,
        ICallback *jobDoneCallback,
        IJob **listJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE KillProcessInGuest(
        ULONGLONG pid,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **killJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE RunScriptInGuest(
        BSTR interrpeter,
        BSTR scriptText,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **runJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE OpenUrlInGuest(
        BSTR url,
        LONG windowState,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **openJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CopyFileFromHostToGuest(
        BSTR hostPathName,
        BSTR guestPathName,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **copyJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CopyFileFromGuestToHost(
        BSTR guestPathName,
        BSTR hostPathName,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **copyJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE DeleteFileInGuest(
        BSTR guestPathName,
        ICallback *jobDoneCallback,
        IJob **deleteJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE FileExistsInGuest(
        BSTR guestPathName,
        ICallback *jobDoneCallback,
        IJob **fileJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE RenameFileInGuest(
        BSTR oldName,
        BSTR newName,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **renameJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CreateTempFileInGuest(
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **createJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE ListDirectoryInGuest(
        BSTR pathName,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **listJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CreateDirectoryInGuest(
        BSTR pathName,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **createJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE DeleteDirectoryInGuest(
        BSTR pathName,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **deleteJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE DirectoryExistsInGuest(
        BSTR pathName,
        ICallback *jobDoneCallback,
        IJob **directoryJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE ReadVariable(
        LONG variableType,
        BSTR name,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **readJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE WriteVariable(
        LONG variableType,
        BSTR valueName,
        BSTR value,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **writeJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetNumRootSnapshots(LONG *result, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetRootSnapshot(LONG index, ISnapshot **snapshot, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetCurrentSnapshot(ISnapshot **snapshot, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetNamedSnapshot(BSTR name, ISnapshot **snapshot, ULONGLONG *error) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveSnapshot(
        ISnapshot *snapshot,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **removeJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE RevertToSnapshot(
        ISnapshot *snapshot,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **revertJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CreateSnapshot(
        BSTR name,
        BSTR description,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **createJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE EnableSharedFolders(
        VARIANT_BOOL enabled,
        LONG options,
        ICallback *jobDoneCallback,
        IJob **enableJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetNumSharedFolders(ICallback *jobDoneCallback, IJob **getJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetSharedFolderState(
        LONG index,
        ICallback *jobDoneCallback,
        IJob **getJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE SetSharedFolderState(
        BSTR shareName,
        BSTR hostPathName,
        LONG flags,
        ICallback *jobDoneCallback,
        IJob **setJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE AddSharedFolder(
        BSTR shareName,
        BSTR hostPathName,
        LONG flags,
        ICallback *jobDoneCallback,
        IJob **addJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveSharedFolder(
        BSTR shareName,
        LONG flags,
        ICallback *jobDoneCallback,
        IJob **removeJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE UpgradeVirtualHardware(
        LONG options,
        ICallback *jobDoneCallback,
        IJob **upgradeJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE InstallTools(
        LONG options,
        BSTR commandLineArgs,
        ICallback *jobDoneCallback,
        IJob **installJob) = 0;
};

/* A VM: pausing, cloning, pictures of its screen. */
MIDL_INTERFACE("F1D44D76-784D-44FF-8FEA-D35A154825A0")
IVM2 : public IVM
{
    virtual HRESULT STDMETHODCALLTYPE Pause(
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **pauseJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Unpause(
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **unpauseJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE Clone(
        ISnapshot *snapshot,
        LONG cloneType,
        BSTR destConfigPathName,
        LONG cloneOptions,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **cloneJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE BeginRecording(
        BSTR name,
        BSTR description,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **recordingJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE EndRecording(
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **recordingJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE BeginReplay(
        ISnapshot *recording,
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **replayJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE EndReplay(
        LONG options,
        IVixHandle *propertyList,
        ICallback *jobDoneCallback,
        IJob **replayJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetFileInfoInGuest(
        BSTR pathName,
        ICallback *jobDoneCallback,
        IJob **getFileInfoJob) = 0;
    virtual HRESULT STDMETHODCALLTYPE CaptureScreenImage(
        LONG captureType,
        IVixHandle *additionalProperties,
        ICallback *jobDoneCallback,
        IJob **installJob) = 0;
};

/* What __uuidof is to mingw. */
#ifdef __CRT_UUID_DECL
__CRT_UUID_DECL(VixLib, 0x6874e949, 0x7186, 0x4308, 0xa1, 0xb9, 0xd5, 0x5a, 0x91, 0xf6, 0x07, 0x28)
__CRT_UUID_DECL(IVixLib, 0x94eaa428, 0x2460, 0x470d, 0x8f, 0x66, 0x2a, 0x42, 0x70, 0xaf, 0xf2, 0x0a)
__CRT_UUID_DECL(IVixHandle, 0x70aed194, 0x6cfa, 0x4ba3, 0x8e, 0x63, 0xd3, 0x2a, 0x35, 0x73, 0xa1, 0x71)
__CRT_UUID_DECL(IVixHandle2, 0x2f5a88e5, 0xe1be, 0x4d51, 0x92, 0x40, 0x2f, 0xa3, 0x9a, 0x69, 0x60, 0x6f)
__CRT_UUID_DECL(ICallback, 0x82bf64c6, 0xe21c, 0x4b78, 0x96, 0x65, 0x69, 0x33, 0xe7, 0x67, 0xb4, 0x30)
__CRT_UUID_DECL(IJob, 0x77a6b455, 0xc303, 0x4b67, 0x81, 0x0d, 0xb9, 0xe6, 0x07, 0x7e, 0x75, 0xae)
__CRT_UUID_DECL(ISnapshot, 0x89db37b8, 0xce29, 0x4b14, 0xaa, 0x05, 0x6d, 0x5a, 0xea, 0xbe, 0x2f, 0xb0)
__CRT_UUID_DECL(IHost, 0x1305925c, 0xb00e, 0x443a, 0xbb, 0x13, 0x61, 0xd0, 0x6c, 0xbd, 0xab, 0x97)
__CRT_UUID_DECL(IHost2, 0x320645ad, 0xdcb7, 0x4843, 0x86, 0xd4, 0xab, 0xe1, 0x5b, 0xe5, 0xce, 0xda)
__CRT_UUID_DECL(IVM, 0x11e879b1, 0x7969, 0x4654, 0xbe, 0x4b, 0x3f, 0x05, 0x67, 0x9f, 0x74, 0x2e)
__CRT_UUID_DECL(IVM2, 0xf1d44d76, 0x784d, 0x44ff, 0x8f, 0xea, 0xd3, 0x5a, 0x15, 0x48, 0x25, 0xa0)
#endif

#endif
